import { describe, expect, it } from 'vitest'
import type { ClosingOrder, Condor, Quote } from '../src/document'
import { format } from '../src/format'
import { aboveWidth, alreadyClosing, unusableQuotes } from '../src/orderDoubts'
import { AS_OF, condor, quote } from './account'

const long: Partial<Condor> = { direction: 'long', credit: -3.21 }

describe('quotes without a natural price', () => {
  const [put] = condor().legs as [Condor['legs'][number]]
  const of = (changes: Partial<Quote>) => {
    const quotes = condor().legs.map(({ symbol }) => quote(symbol, symbol === put.symbol ? changes : {}))
    return unusableQuotes(condor(), new Map(quotes.map((each) => [each.symbol, each])), format)
  }

  it.each([
    [{ state: 'stub', bid: 0.05, ask: 60 }, '705 put: bid 0.05, ask 60.00'],
    [{ state: 'stub', bid: 0, ask: 4.8 }, '705 put: bid 0.00, ask 4.80'],
    [{ state: 'crossed', bid: 3.1, ask: 2.9 }, '705 put: bid 3.10, ask 2.90'],
    [{ state: 'noAsk', bid: 1.2, ask: 0 }, '705 put: no ask'],
    [{ state: 'none', bid: null, ask: null }, '705 put: no quote'],
  ] as const)('are named with the reason: %o', (changes, text) => expect(of(changes)).toEqual([text]))

  it.each(['twoSided', 'zeroBid', 'locked'] as const)('are not those in the state %s', (state) => expect(of({ state })).toEqual([]))

  it('include those that never came', () => {
    expect(unusableQuotes(condor(), new Map(), format)).toHaveLength(4)
  })
})

describe('a limit above the width', () => {
  it.each([
    [{ putWidth: 1, callWidth: 1 }, 1.1, 'The limit is above the width of 1.00, the most it costs at expiration with all legs held.'],
    [{ putWidth: 1, callWidth: 5 }, 5.01, 'The limit is above the width of 5.00, the most it costs at expiration with all legs held.'],
    [{ ...long, putWidth: 5, callWidth: 5 }, -5.5, 'The limit is above the width of 5.00, the most it brings at expiration with all legs held.'],
  ])('is named: %o at %d', (changes, limit, text) => expect(aboveWidth(condor('INTC', changes), limit, format)).toBe(text))

  it.each([
    [{}, 10],
    [{}, -0.1],
    [long, -10],
    [long, 0.2],
  ])('is not one within it: %o at %d', (changes, limit) => expect(aboveWidth(condor('SPY', changes), limit, format)).toBeNull())
})

describe('working orders', () => {
  const order = (changes: Partial<ClosingOrder>): ClosingOrder => ({ orderId: '1', limitPrice: 1.04, quantity: 2, percentOfMaxProfit: 60, submittedAt: AS_OF, ...changes })
  const sentences = (...closing: ClosingOrder[]) => alreadyClosing(condor('SPY', { closing }), format)

  it.each([
    [{}, 'Buy at 1.04 already closes it: replace or cancel that order.'],
    [{ quantity: 1 }, 'Buy 1 at 1.04 already closes part of it: replace or cancel that order.'],
    [{ percentOfMaxProfit: null }, 'Buy one side at 1.04 already closes part of it: replace or cancel that order.'],
    [{ limitPrice: null, percentOfMaxProfit: null }, 'Buy at market already closes it: replace or cancel that order.'],
  ])('are to be replaced or cancelled: %o', (changes, text) => expect(sentences(order(changes))).toEqual([text]))

  it('are named one by one', () => expect(sentences(order({ quantity: 1 }), order({ quantity: 1, limitPrice: 1.2 }))).toHaveLength(2))

  it('are missing if there are none, and with an older daemon, which sends none', () => {
    expect(sentences()).toEqual([])
    const { closing: _, ...older } = condor()
    expect(alreadyClosing(older as Condor, format)).toEqual([])
  })
})
