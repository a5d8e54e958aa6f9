import { expect, it } from 'vitest'
import { cutoffs } from '../src/countdown'
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
const left = (at: string) => cutoffs(ending, Date.parse(at)).map(({ kind, secondsLeft }) => [kind, secondsLeft])

it('has the cut-offs of the last trading day, the next first, in seconds that are not rounded', () => {
  expect(left('2026-12-18T20:14:00.500Z')).toEqual([['liquidation', 59.5], ['orders', 959.5]])
  expect(left('2026-12-18T20:31:00Z')).toEqual([['liquidation', -960], ['orders', -60]])
})

it('has none on another day of the exchange, and always the same object', () => {
  expect(left('2026-12-18T04:59:00Z')).toEqual([])
  expect(left('2026-12-18T05:00:00Z')).toHaveLength(2)
  expect(cutoffs(ending, 0)).toBe(cutoffs(ending, 1))
})

it('has none without an expiry, which older daemons do not send', () => {
  const { expiry: _, ...older } = ending
  expect(cutoffs(older as Condor, Date.parse(LAST))).toEqual([])
})
