import { describe, expect, it } from 'vitest'
import { AS_OF, broken, condor } from '../../tests/account'
import type { Condor } from '../document'
import { expirationsOf, riskOf } from './expirations'

const NOW = Date.parse(AS_OF)

/** The strikes of a condor moved by `by`. */
function moved(held: Condor, by: number): Condor {
  return { ...held, id: `${held.id}+${by}`, legs: held.legs.map((leg) => ({ ...leg, strike: leg.strike + by })) }
}

describe('the maximum loss', () => {
  it('of one condor is its own', () => {
    expect(riskOf([condor()], NOW)).toBe(1358)
    expect(riskOf([condor('SPY', { direction: 'long', credit: 0 })], NOW)).toBe(2000)
  })

  it('of two that settle together is the one at the worst price, not the sum', () => {
    expect(riskOf([condor(), moved(condor(), 0)], NOW)).toBe(2716)
    expect(riskOf([condor(), moved(condor(), 200)], NOW)).toBe(2716)
    const reverse = condor()
    const long = { ...reverse, id: 'long', credit: -3.21, legs: reverse.legs.map((leg) => ({ ...leg, side: leg.side === 'long' ? 'short' : 'long' }) as const) }
    expect(riskOf([condor(), long], NOW)).toBe(0)
  })

  it('adds up over expirations, settlements and roots', () => {
    for (const changes of [{ expiration: '2026-12-24' }, { settlement: 'am' }, { root: 'SPY1' }] as const) {
      const reversed = condor('SPY', changes)
      expect(riskOf([condor(), { ...reversed, id: 'other' }], NOW)).toBe(2716)
    }
  })

  it('is unknown without a credit, and 0 after the settlement', () => {
    expect(riskOf([condor(), condor('QQQ', { credit: null })], NOW)).toBeNull()
    expect(riskOf([condor('SPY', { credit: null })], Date.parse('2026-12-18T21:15:00Z'))).toBe(0)
    expect(riskOf([], NOW)).toBe(0)
  })
})

describe('the expirations', () => {
  it('are in order, with underlyings, risk and broken condors', () => {
    const later = condor('IWM', { expiration: '2027-01-15', daysToExpiration: 56 })
    const lost = { ...broken('X', { A: 1 }), underlying: 'QQQ' }
    const held = [later, condor(), { ...condor(), id: 'b' }]
    const [first, second] = expirationsOf(held, [lost], NOW, (condors, broken) => 100 * condors.length + broken.length)
    expect(first).toEqual({ date: '2026-12-18', days: 28, names: ['SPY', 'QQQ'], broken: 1, risk: 201, isExpired: false })
    expect(second).toMatchObject({ date: '2027-01-15', names: ['IWM'], risk: 1358 })
  })

  it('have no risk of broken condors before it is computed', () => {
    expect(expirationsOf([condor()], [broken('X', { A: 1 })], NOW)[0]!.risk).toBeUndefined()
  })

  it('await settlement after it', () => {
    const [only] = expirationsOf([condor()], [], Date.parse('2026-12-18T22:00:00Z'))
    expect([only!.isExpired, only!.risk]).toEqual([true, 0])
  })
})
