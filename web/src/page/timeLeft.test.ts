import { describe, expect, it } from 'vitest'
import { broken, condor } from '../../tests/account'
import type { Condor } from '../document'
import { cutoffs } from '../countdown'
import { lastDayLeft, timeLeft } from './timeLeft'

const at = '2026-12-18T20:30:00Z'
const last = '2026-12-18T21:15:00Z'
const liquidation = { kind: 'liquidation' as const, at: '2026-12-18T20:15:00Z', source: 'config' as const }
const orders = { kind: 'orders' as const, at, source: 'config' as const }
const held = condor('LAST', { daysToExpiration: 0, expiry: { lastTradingAt: last, settlesAt: last, cutoffs: [liquidation, orders] } })

describe('the time left for orders', () => {
  it('is counted down on the last trading day, until none is taken', () => {
    expect(timeLeft(cutoffs(held, Date.parse(at) - 9.5 * 60_000))).toBe('9\u00a0min left for orders')
    expect(timeLeft(cutoffs(held, Date.parse(at)))).toBe('No orders since 15:30 ET')
    expect(timeLeft(cutoffs(held, Date.parse('2026-12-17T20:00:00Z')))).toBe('')
  })
})

describe('the time left in the table', () => {
  it.each([
    ['2026-12-18T20:25:00Z', '5\u00a0min'],
    ['2026-12-18T20:28:25Z', '1\u00a0min'],
    ['2026-12-18T20:29:30Z', '<1\u00a0min'],
    [at, 'no orders'],
    [last, 'expired'],
    ['2026-12-17T20:25:00Z', null],
  ])('at %s is %s', (now, text) => expect(lastDayLeft(held, Date.parse(now))).toBe(text))

  it('exists for a broken condor too', () => expect(lastDayLeft({ ...broken('LOST', {}), expiry: held.expiry }, Date.parse(at))).toBe('no orders'))

  it('is not known without a cut-off, and with an older daemon, which sends no expiry', () => {
    const { expiry: _, ...older } = held
    const uncut = { ...held, expiry: { ...held.expiry!, cutoffs: [] } }
    expect([broken('LOST', {}), uncut, older as Condor].map((entry) => lastDayLeft(entry, Date.parse(at)))).toEqual([null, null, null])
  })
})
