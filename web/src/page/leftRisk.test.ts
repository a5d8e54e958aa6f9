import { describe, expect, it } from 'vitest'
import { condor, unmatched } from '../../tests/account'
import type { Broken, Condor, Unmatched } from '../document'
import { riskWithLeft } from './leftRisk'

const ENTRIES = [1, 5, 3, 1]
const { legs, ...terms } = condor()

/** A condor of two of which so many contracts of the long put 705, the short put 715, the short call 770 and the long call 780 are left. */
const lacking = (...held: [number, number, number, number]) =>
  ({ ...terms, legs: legs.map((leg, at) => ({ ...leg, held: held[at]! })) }) as unknown as Broken

function risk(broken: Broken[], condors: Condor[] = [], changes: Partial<Unmatched> = {}) {
  const entries = legs.map(({ symbol }, at) => unmatched({ symbol, averageEntryPrice: ENTRIES[at]!, uncoveredShort: false, ...changes }))
  return riskWithLeft(new Map(entries.map((entry) => [entry.symbol, entry])))(condors, broken)
}

describe('the maximum loss with the legs left of broken condors', () => {
  it('has no bound above a call that nothing covers', () => {
    expect(risk([lacking(2, 2, 2, 0)])).toBe(Infinity)
    expect(risk([lacking(2, 2, 2, 1)])).toBe(Infinity)
  })

  it('is the one at the worst price, down to 0', () => {
    expect(risk([lacking(0, 2, 2, 2)])).toBe((715 - 5 - (3 - 1)) * 200)
    expect(risk([lacking(2, 0, 2, 2)])).toBe((10 - (3 - 1) + 1) * 200)
    expect(risk([lacking(0, 0, 2, 2)])).toBe((10 - (3 - 1)) * 200)
  })

  it('counts the condors that settle at the same price, and adds other roots', () => {
    expect(risk([lacking(0, 0, 2, 2)], [condor()])).toBe((10 - (3 - 1)) * 200 + 1358)
    expect(risk([lacking(2, 2, 0, 0)], [condor('QQQ')])).toBe((10 - (5 - 1)) * 200 + 1358)
    const long = legs.map((leg) => ({ ...leg, held: leg.right === 'call' ? 2 : 0, side: leg.side === 'long' ? 'short' : 'long' }) as const)
    expect(risk([{ ...lacking(0, 0, 0, 0), legs: long } as unknown as Broken], [condor()])).toBe(1358 + (3 - 1) * 200)
  })

  it('is not known without a credit or an entry price, or where something else covers a short', () => {
    expect(risk([lacking(0, 0, 2, 2)], [condor('SPY', { credit: null })])).toBeNull()
    expect(risk([lacking(0, 0, 2, 2)], [], { averageEntryPrice: null })).toBeNull()
    expect(risk([lacking(0, 0, 2, 2)], [], { multiplier: null })).toBeNull()
    expect(risk([lacking(2, 2, 2, 0)], [], { cover: 'shares' })).toBeNull()
    expect(risk([lacking(0, 0, 2, 2)], [], { cover: 'sameExpiry' })).toBe((10 - (3 - 1)) * 200)
    expect(riskWithLeft(new Map())([], [lacking(0, 0, 2, 2)])).toBeNull()
  })
})
