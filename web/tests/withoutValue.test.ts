import { describe, expect, it } from 'vitest'
import { withoutValue } from '../src/withoutValue'
import { condor, risk, valuation } from './account'

const held = condor()

describe('withoutValue', () => {
  it('is the same object while only the value, the history and the closing orders change', () => {
    const next = { ...held, valuation: valuation('x', { unrealizedPl: 1 }), history: { seconds: [60], cents: [100] }, closing: [] }
    expect(withoutValue(next, held)).toBe(held)
  })

  it.each([{ risk: risk('x') }, { credit: 1 }, { legs: [...held.legs] }, { daysToExpiration: 1 }])('follows %o', (change) => {
    const next = { ...held, ...change }
    expect(withoutValue(next, held)).toBe(next)
  })

  it('follows a condor that comes and goes', () => {
    expect([withoutValue(held, undefined), withoutValue(undefined, held)]).toEqual([held, undefined])
  })
})
