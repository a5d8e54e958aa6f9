/** A condor's profit or loss at expiration, in dollars, as a function of the price of the underlying. */
import type { Condor } from './document'

export interface Point {
  price: number
  pl: number
}

export interface Payoff {
  /** The points from below the lowest strike to above the highest, with every strike and every crossing of zero. */
  points: Point[]
  shortStrikes: number[]
  breakevens: number[]
  low: number
  high: number
}

/** How far the chart extends beyond the outer strikes, as a fraction of the distance between them. */
const MARGIN = 0.25
/** How far it extends at least beyond a price that it has to contain. */
const PRICE_MARGIN = 0.1

/** Returns the payoff of `condor` over a range that contains `price`, if that is known; null if its credit is not known. */
export function payoff(condor: Condor, price: number | null = null): Payoff | null {
  if (condor.credit === null) return null
  const strikes = distinct(condor.legs.map((leg) => leg.strike))
  const lowest = strikes[0]!
  const highest = strikes.at(-1)!
  const width = highest - lowest
  const from = Math.max(0, Math.min(lowest - width * MARGIN, (price ?? Infinity) - width * PRICE_MARGIN))
  const to = Math.max(highest + width * MARGIN, (price ?? 0) + width * PRICE_MARGIN)
  const corners = [from, ...strikes, to].map((price) => ({ price, pl: plAt(condor, price) }))
  const points = corners.flatMap((point, at) => [...crossing(corners[at - 1], point), point])
  return {
    points,
    shortStrikes: distinct(condor.legs.filter((leg) => leg.side === 'short').map((leg) => leg.strike)),
    breakevens: [condor.breakevens.lower, condor.breakevens.upper].filter((price) => price !== null),
    low: Math.min(0, ...points.map((point) => point.pl)),
    high: Math.max(0, ...points.map((point) => point.pl)),
  }
}

/** Returns the profit or loss if the underlying is at `price` at expiration, rounded to the cent. */
export function plAt(condor: Condor, price: number): number {
  let net = (condor.credit ?? 0) * condor.quantity
  for (const { right, side, strike, quantity } of condor.legs) {
    const intrinsic = Math.max(0, right === 'call' ? price - strike : strike - price)
    net += (side === 'long' ? intrinsic : -intrinsic) * quantity
  }
  return Math.round(net * condor.multiplier * 100) / 100
}

function crossing(before: Point | undefined, after: Point): Point[] {
  if (!before || before.pl * after.pl >= 0) return []
  const part = before.pl / (before.pl - after.pl)
  return [{ price: before.price + part * (after.price - before.price), pl: 0 }]
}

function distinct(numbers: number[]): number[] {
  return [...new Set(numbers)].sort((one, other) => one - other)
}
