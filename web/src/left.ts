/** The remaining legs of a broken condor, in the form of an order that closes them. */
import { unitsOf, type Closable } from './closingOrder'
import type { Broken, Quote } from './document'

/** Returns the legs of which contracts are held, and the cost per share of closing one unit of them, negative for a credit. */
export function leftOf(broken: Broken, quotes: ReadonlyMap<string, Quote>): Closable {
  const legs = broken.legs.filter(({ held }) => held).map((leg) => ({ ...leg, quantity: leg.held }))
  const units = unitsOf(legs)
  const net = (price: (quote: Quote, isShort: boolean) => number | null) =>
    legs.reduce<number | null>((sum, { symbol, side, quantity }) => {
      const quote = quotes.get(symbol)
      const isShort = side === 'short'
      const own = quote && price(quote, isShort)
      return sum === null || own == null ? null : sum + (isShort ? own : -own) * (quantity / units)
    }, 0)
  return {
    ...broken,
    legs,
    isLeft: true,
    valuation: { mark: net(({ mark }) => mark), natural: net(({ ask, bid }, isShort) => (isShort ? ask : bid)) },
    // It has no credit, and what its contracts can be worth may have no bound.
    maxProfit: null,
    putWidth: Infinity,
    callWidth: Infinity,
    closing: [],
  }
}
