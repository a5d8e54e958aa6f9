import { describe, expect, it } from 'vitest'
import { createLive } from '../src/live'
import { unconfirmedIfLost } from '../src/lost'
import { condor, document, status } from './account'

type Code = ReturnType<typeof status>['code']
const lost = (code: Code = 'sourceLost') => ({ ...document('e-1'), condors: [condor()], status: status({ state: 'reconnecting', code }) })

describe('a document of a relay', () => {
  it('is shown as it is while its source is there', () => {
    const whole = document('e-1')
    expect(unconfirmedIfLost(whole)).toBe(whole)
  })

  it.each(['sourceLost', 'busLost', 'leaderLost'] as const)('has nothing confirmed under %s, and is not itself changed', (code) => {
    const whole = lost(code)
    const shown = unconfirmedIfLost(whole)
    expect(shown.condors.map(({ valuation }) => valuation.unconfirmed)).toEqual([true])
    expect(shown.quotes.every(({ unconfirmed }) => unconfirmed)).toBe(true)
    expect(shown.underlyings.every(({ unconfirmed }) => unconfirmed)).toBe(true)
    expect(whole.condors[0]!.valuation.unconfirmed).toBe(false)
  })

  it('is confirmed again with the next status', () => {
    const { live, show } = createLive(0)
    const whole = lost()
    show(whole)
    expect([...live.condors.value.values()][0]!.valuation.unconfirmed).toBe(true)
    const before = live.document.value
    show(whole)
    expect(live.document.value).toBe(before)
    show({ ...whole, status: status() })
    expect([...live.condors.value.values()][0]!.valuation.unconfirmed).toBe(false)
  })
})
