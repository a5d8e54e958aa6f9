import { describe, expect, it } from 'vitest'
import { condor } from '../../tests/account'
import { cutoffs } from '../countdown'
import { timeLeft } from './timeLeft'

describe('the time left for orders', () => {
  const at = '2026-12-18T20:30:00Z'
  const liquidation = { kind: 'liquidation' as const, at: '2026-12-18T20:15:00Z', source: 'config' as const }
  const orders = { kind: 'orders' as const, at, source: 'config' as const }
  const last = '2026-12-18T21:15:00Z'
  const held = condor('LAST', { expiry: { lastTradingAt: last, settlesAt: last, cutoffs: [liquidation, orders] } })

  it('is counted down on the last trading day, until none is taken', () => {
    expect(timeLeft(cutoffs(held, Date.parse(at) - 9.5 * 60_000))).toBe('10\u00a0min left for orders')
    expect(timeLeft(cutoffs(held, Date.parse(at)))).toBe('No orders since 15:30 ET')
    expect(timeLeft(cutoffs(held, Date.parse('2026-12-17T20:00:00Z')))).toBe('')
  })
})
