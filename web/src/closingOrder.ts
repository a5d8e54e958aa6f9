/**
 * The order that closes a condor, as text for a broker's order window and as the body of Alpaca's `POST /v2/orders`.
 *
 * condord sends no orders: the owner checks this one and sends it.
 */
import type { Condor, Leg } from './document'
import { day, price as formatPrice, strike } from './format'

/** The limit: the mid of all legs, or what closes now at the bids and asks. */
export type ClosingPrice = 'mid' | 'natural'

export interface ClosingOrderOptions {
  price: ClosingPrice
}

export interface OrderToCopy {
  /** Per share, in whole cents; negative for a credit. */
  limit: number
  text: string
  json: string
}

/** Returns the order that closes all of `condor`; null if its price is not known. */
export function closingOrder(condor: Condor, { price }: ClosingOrderOptions): OrderToCopy | null {
  const net = price === 'mid' ? condor.valuation.mark : condor.valuation.natural
  if (net === null) return null
  const limit = toCents(net)
  const units = condor.legs.map(({ quantity }) => quantity).reduce(greatestCommonDivisor)
  return { limit, text: textOf(condor, units, limit), json: JSON.stringify(bodyOf(condor, units, limit), null, 2) }
}

/** Rounds a price to whole cents, half a cent in favour of the market, so that the order is not less likely to fill. */
function toCents(net: number): number {
  // From exact 1e-4 dollars: 2.435 * 100 is less than 243.5.
  return Math.round(Math.round(net * 1e4) / 100) / 100 || 0
}

/** Alpaca takes whole ratios without a common factor; the limit is negative where the order receives a credit. */
function bodyOf({ legs }: Condor, units: number, limit: number) {
  return {
    order_class: 'mleg',
    type: 'limit',
    time_in_force: 'day',
    qty: String(units),
    limit_price: limit.toFixed(2),
    legs: legs.map((leg) => ({
      symbol: leg.symbol,
      ratio_qty: String(leg.quantity / units),
      side: sideOf(leg),
      position_intent: `${sideOf(leg)}_to_close`,
    })),
  }
}

function textOf(condor: Condor, units: number, limit: number): string {
  const kind = condor.kind === 'ironButterfly' ? `iron butterfl${units === 1 ? 'y' : 'ies'}` : `iron condor${units === 1 ? '' : 's'}`
  const at = limit > 0 ? `a debit of ${formatPrice(limit)}` : limit < 0 ? `a credit of ${formatPrice(-limit)}` : 'even'
  const lines = condor.legs.map((leg) => {
    const verb = sideOf(leg) === 'buy' ? 'Buy' : 'Sell'
    return `${verb} to close ${leg.quantity} ${condor.root} ${day(condor.expiration)} ${strike(leg.strike)} ${leg.right}`
  })
  return [`Close ${units} ${condor.root} ${kind}, limit ${at}, day order`, ...lines].join('\n')
}

const sideOf = ({ side }: Leg) => (side === 'short' ? 'buy' : 'sell')

const greatestCommonDivisor = (one: number, other: number): number => (other ? greatestCommonDivisor(other, one % other) : one)
