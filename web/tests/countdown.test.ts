import { expect, it } from 'vitest'
import { cutoffs, duration } from '../src/countdown'
import type { Condor } from '../src/document'
import { condor } from './account'

const LAST = '2026-12-18T21:15:00Z'
const ending = condor('SPY', {
  expiry: {
    lastTradingAt: LAST,
    settlesAt: LAST,
    cutoffs: [
      { kind: 'orders', at: '2026-12-18T20:30:00Z', source: 'config' },
      { kind: 'liquidation', at: '2026-12-18T20:15:00Z', source: 'config' },
    ],
  },
})
const left = (at: string) => cutoffs(ending, Date.parse(at)).map(({ kind, minutesLeft }) => [kind, minutesLeft])

it('has the cut-offs of the last trading day, the next first, in minutes rounded up', () => {
  expect(left('2026-12-18T20:14:01Z')).toEqual([['liquidation', 1], ['orders', 16]])
  expect(left('2026-12-18T20:31:00Z')).toEqual([['liquidation', -16], ['orders', -1]])
})

it('has none on another day of the exchange, and always the same none', () => {
  expect(left('2026-12-18T04:59:00Z')).toEqual([])
  expect(left('2026-12-18T05:00:00Z')).toHaveLength(2)
  expect(cutoffs(ending, 0)).toBe(cutoffs(ending, 1))
})

it('has none without an expiry, which older daemons do not send', () => {
  const { expiry: _, ...older } = ending
  expect(cutoffs(older as Condor, Date.parse(LAST))).toEqual([])
})

it('formats a duration', () => {
  expect([0, 28, 60, 434].map((minutes) => duration(minutes).replaceAll('\u00a0', ' '))).toEqual(['0 min', '28 min', '1 h', '7 h 14 min'])
})
