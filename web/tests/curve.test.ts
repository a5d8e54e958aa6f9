/** The cases are written by `python -m tests.e2e.curve_cases` from the daemon's model. */
import { describe, expect, it } from 'vitest'
import { riskCurve } from '../src/curve'
import type { Condor, Underlying } from '../src/document'
import { condor, risk } from './account'
import cases from './curve.cases.json'

type Case = (typeof cases)[number]

/** The condor of a case with all the fields that the curve does not read. */
function whole({ condor: { risk: figures, legs, ...terms } }: Case): Condor {
  const base = condor()
  const whole = {
    ...base,
    ...terms,
    legs: legs.map((leg, at) => ({ ...base.legs[at], ...leg })),
    risk: { ...risk(base.id), ...figures },
  }
  return whole as Condor
}

const ask = (one: Case, changes: Partial<Condor> = {}) =>
  riskCurve({ ...whole(one), ...changes }, one.model as Parameters<typeof riskCurve>[1], {
    prices: one.prices,
    now: one.now ? Date.parse(one.now) : undefined,
    exDividend: one.exDividend as Underlying['exDividend'],
  })

describe('the curve of today', () => {
  it.each(cases)('equals the daemon\'s: $name', (one) => {
    const ours = ask(one)
    expect(ours).toHaveLength(one.pl.length)
    for (const [at, theirs] of one.pl.entries()) {
      if (theirs === null) expect(ours[at]).toBeNull()
      else expect(Math.abs(ours[at]! - theirs)).toBeLessThanOrEqual(1e-6 * Math.abs(theirs) + 1e-9)
    }
  })

  it('does not depend on the order of the figures', () => {
    const [one] = cases
    const reversed = { ...whole(one!).risk, legs: whole(one!).risk.legs.toReversed() }
    expect(ask(one!, { risk: reversed })).toEqual(ask(one!))
  })

  it('is unknown without figures, as before the first', () => {
    expect(riskCurve(condor(), { rate: 0.04, dividendYields: {} }, { prices: [700, 742] })).toEqual([null, null])
  })

  it('has no value at a price of zero', () => {
    expect(riskCurve(whole(cases[0]!), { rate: 0.04, dividendYields: {} }, { prices: [0, -1, NaN] })).toEqual([null, null, null])
  })
})
