/**
 * The order that closes a condor, as text for a broker's order window and as the body of Alpaca's `POST /v2/orders`.
 *
 * condord sends no orders: the owner checks this one and sends it.
 */
import type { Condor, Leg, Valuation } from './document'
import { day, price as formatPrice, strike } from './format'

/** The basis of the limit: the mid of all legs, or the bids and asks at which it fills now. */
export type ClosingPrice = 'mid' | 'natural'

/** The legs that an order closes: those of a condor, or the remaining ones of a broken condor. */
export interface Closable extends Pick<
  Condor,
  'closing' | 'direction' | 'kind' | 'root' | 'expiration' | 'maxProfit' | 'quantity' | 'putWidth' | 'callWidth'
> {
  legs: Pick<Leg, 'symbol' | 'right' | 'strike' | 'side' | 'quantity'>[]
  valuation: Pick<Valuation, 'mark' | 'natural'>
  isLeft?: boolean
}

export interface ClosingOrderOptions {
  price: ClosingPrice
}

export interface OrderToCopy {
  /** The limit per share in whole cents; negative for a credit. */
  limit: number
  text: string
  json: string
}

/** Returns the order that closes all of `condor`; null if its price is not known. */
export function closingOrder(condor: Closable, { price }: ClosingOrderOptions): OrderToCopy | null {
  const net = price === 'mid' ? condor.valuation.mark : condor.valuation.natural
  if (net === null) return null
  const { legs } = condor
  // No order for a single contract is taken at a limit of 0.
  const limit = toCents(net) || (legs.length > 1 ? 0 : sideOf(legs[0]!) === 'buy' ? CENT : -CENT)
  const units = unitsOf(legs)
  return { limit, text: textOf(condor, units, limit), json: JSON.stringify(bodyOf(condor, units, limit), null, 2) }
}

/** How many units an order for `legs` has: the ratios of its legs are whole numbers without a common factor. */
export const unitsOf = (legs: readonly Pick<Leg, 'quantity'>[]) => legs.map(({ quantity }) => quantity).reduce(greatestCommonDivisor, 0)

/** Rounds a price to whole cents, half a cent in favour of the market, so that the order is not less likely to fill. */
function toCents(net: number): number {
  // From exact 1e-4 dollars: 2.435 * 100 is less than 243.5.
  return Math.round(Math.round(net * 1e4) / 100) / 100 || 0
}

/** The limit is negative where the order receives a credit, unless it is for a single contract. */
function bodyOf({ legs }: Closable, units: number, limit: number) {
  const terms = { type: 'limit', time_in_force: 'day', qty: String(units) }
  const closes = legs.map((leg) => ({ symbol: leg.symbol, ratio_qty: String(leg.quantity / units), ...intent(leg) }))
  if (closes.length > 1) return { order_class: 'mleg', ...terms, limit_price: limit.toFixed(2), legs: closes }
  const [only] = legs as [Leg]
  return { symbol: only.symbol, ...terms, limit_price: Math.abs(limit).toFixed(2), ...intent(only) }
}

const intent = (leg: Pick<Leg, 'side'>) => ({ side: sideOf(leg), position_intent: `${sideOf(leg)}_to_close` })

function textOf(condor: Closable, units: number, limit: number): string {
  const count = condor.isLeft ? condor.quantity : units
  const kind = condor.kind === 'ironButterfly' ? `iron butterfl${count === 1 ? 'y' : 'ies'}` : `iron condor${count === 1 ? '' : 's'}`
  const at = limit > 0 ? `a debit of ${formatPrice(limit)}` : limit < 0 ? `a credit of ${formatPrice(-limit)}` : 'even'
  const times = condor.isLeft && units > 1 ? ` x ${units}` : ''
  const lines = condor.legs.map((leg) => {
    const verb = sideOf(leg) === 'buy' ? 'Buy' : 'Sell'
    return `${verb} to close ${leg.quantity} ${condor.root} ${day(condor.expiration)} ${strike(leg.strike)} ${leg.right}`
  })
  return [`Close ${condor.isLeft ? 'what is left of ' : ''}${count} ${condor.root} ${kind}, limit ${at}${times}, day order`, ...lines].join('\n')
}

const CENT = 0.01

const sideOf = ({ side }: Pick<Leg, 'side'>) => (side === 'short' ? 'buy' : 'sell')

const greatestCommonDivisor = (one: number, other: number): number => (other ? greatestCommonDivisor(other, one % other) : one)
