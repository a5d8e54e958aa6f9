import { describe, expect, it } from 'vitest'
import { condor, quote, valuation } from '../../tests/account'
import type { Condor, Quote } from '../document'
import { arranged, fromHash, nearness, toHash, DEFAULT, type View } from './view'

function held(root: string, pl: number | null, changes: Partial<Condor> = {}): Condor {
  const one = condor(root, changes)
  return { ...one, valuation: valuation(one.id, { unrealizedPl: pl, missing: pl === null ? ['X'] : [] }) }
}

const quotesOf = (one: Condor, marks: (number | null)[]): [string, Quote][] =>
  one.legs.map(({ symbol }, at) => [symbol, quote(symbol, { mark: marks[at] ?? null })])
const roots = (condors: Condor[], view: Partial<View>, quotes = new Map<string, Quote>()) =>
  arranged(condors, quotes, { ...DEFAULT, ...view }).map((id) => id.split('-')[0])

describe('the address', () => {
  it('omits the default view', () => {
    expect(toHash(DEFAULT)).toBe('')
    expect(fromHash('')).toEqual(DEFAULT)
  })

  it('keeps every other view', () => {
    const view: View = { sort: 'breakeven', show: 'losing', find: 'a&b #1', announce: 'on' }
    expect(fromHash(`#${toHash(view)}`)).toEqual(view)
  })

  it('gives the default for invalid values', () => {
    expect(fromHash('#sort=constructor&show=&what=ever&announce=yes')).toEqual(DEFAULT)
  })
})

describe('the order', () => {
  const won = held('AAA', 10, { daysToExpiration: 9 })
  const lost = held('BBB', -20, { daysToExpiration: 30 })
  const unknown = held('CCC', null, { daysToExpiration: 2 })
  const all = [unknown, won, lost]

  it('is by days left', () => expect(roots(all, {})).toEqual(['CCC', 'AAA', 'BBB']))
  it('is by P/L from the worst, unknown last', () =>
    expect(roots(all, { sort: 'worst' })).toEqual(['BBB', 'AAA', 'CCC']))
  it('is by P/L from the best, unknown last', () =>
    expect(roots(all, { sort: 'best' })).toEqual(['AAA', 'BBB', 'CCC']))
  it('is by symbol', () => expect(roots([lost, won], { sort: 'symbol' })).toEqual(['AAA', 'BBB']))
  it('is the daemon\'s for equal condors', () =>
    expect(roots([held('B', 1), held('A', 1)], { sort: 'best' })).toEqual(['B', 'A']))

  it('is by distance to a breakeven, the nearest first', () => {
    const quotes = new Map([...quotesOf(won, [0.1, 0.6, 0.5, 0.2]), ...quotesOf(lost, [0.1, 0.2, 7.5, 1.5])])
    expect(roots(all, { sort: 'breakeven' }, quotes)).toEqual(['BBB', 'AAA', 'CCC'])
  })
})

describe('the distance to a breakeven', () => {
  it('is the cost of the more expensive side as a fraction of its width', () => {
    const one = condor()
    expect(nearness(one, new Map(quotesOf(one, [1, 3.5, 2, 1.5])))).toBeCloseTo(0.25)
    expect(nearness(one, new Map(quotesOf(one, [1, 1.5, 6, 2])))).toBeCloseTo(0.4)
  })

  it('is unknown without a mark of every leg', () => {
    const one = condor()
    expect(nearness(one, new Map(quotesOf(one, [1, null, 6, 2])))).toBeNull()
    expect(nearness(one, new Map())).toBeNull()
  })
})

describe('what is shown', () => {
  const won = held('AAA', 10)
  const lost = held('BBB', -20, { daysToExpiration: 7 })
  const unknown = held('CCC', null)
  const doubted = { ...held('DDD', 0), valuation: valuation('DDD', { unrealizedPl: 0, unconfirmed: true }) }
  const all = [won, lost, unknown, doubted]

  it.each([
    ['all', ['AAA', 'BBB', 'CCC', 'DDD']],
    ['losing', ['BBB']],
    ['winning', ['AAA']],
    ['week', ['BBB']],
    ['doubtful', ['CCC', 'DDD']],
  ] as const)('are those that are %s', (show, wanted) => {
    expect(roots(all, { show, sort: 'symbol' })).toEqual(wanted)
  })

  it('matches the search in any case', () => {
    expect(roots(all, { find: ' bb' })).toEqual(['BBB'])
    expect(roots(all, { find: '705-715', show: 'winning' })).toEqual(['AAA'])
    expect(roots(all, { find: 'nothing' })).toEqual([])
  })

  it('matches every word of the search anywhere', () => {
    const weekly = { ...held('SPXW', 1), underlying: 'SPX' }
    const butterfly = held('IWM', 1, { kind: 'ironButterfly', direction: 'long', expiration: '2027-01-15' })
    const both = [weekly, butterfly]
    expect(roots(both, { find: 'spx' })).toEqual(['SPXW'])
    expect(roots(both, { find: 'spxw Dec 18' })).toEqual(['SPXW'])
    expect(roots(both, { find: 'dec iwm' })).toEqual([])
    expect(roots(both, { find: '2027 jan' })).toEqual(['IWM'])
    expect(roots(both, { find: 'long  butterfly ' })).toEqual(['IWM'])
    expect(roots(both, { find: 'short condor' })).toEqual(['SPXW'])
    expect(roots(both, { find: ' iron' })).toEqual(['SPXW', 'IWM'])
  })
})
