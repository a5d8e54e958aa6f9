/** The expirations of the condors, with what could be lost at each. */
import type { Broken, Condor } from '../document'
import { payoff, type Payoff } from '../payoff'

export interface Expiration {
  date: string
  days: number
  /** The underlyings, each once. */
  names: string[]
  condors: number
  broken: number
  /** The maximum loss of the condors and of what is left of broken ones, in dollars; null if a part of it is not known. */
  risk: number | null
  /** Whether all of them have expired and await settlement. */
  isExpired: boolean
}

/** Returns the maximum loss of condors of one expiration with what is left of broken ones, in dollars; null if it is not known. */
export type RiskWithLeft = (condors: Condor[], broken: Broken[]) => number | null

/** Returns the expirations of `condors` and of broken ones, the nearest first. `now` is in milliseconds. */
export function expirationsOf(condors: Iterable<Condor>, broken: Iterable<Broken>, now: number, riskWithLeft?: RiskWithLeft): Expiration[] {
  const held = [...condors]
  const lost = [...broken]
  const dates = [...new Set([...held, ...lost].map(({ expiration }) => expiration))].sort()
  return dates.map((date) => {
    const own = held.filter(({ expiration }) => expiration === date)
    const ownBroken = lost.filter(({ expiration }) => expiration === date)
    const live = own.filter((condor) => !isSettled(condor, now))
    return {
      date,
      days: [...own, ...ownBroken][0]!.daysToExpiration,
      names: [...new Set([...own, ...ownBroken].map(({ underlying }) => underlying))],
      condors: own.length,
      broken: ownBroken.length,
      risk: ownBroken.length ? (riskWithLeft?.(live, ownBroken) ?? null) : riskOf(live, now),
      isExpired: own.length > 0 && live.length === 0 && ownBroken.length === 0,
    }
  })
}

/**
 * Returns the maximum loss of `condors` at expiration, in dollars; null if the credit of one is not known.
 *
 * Condors that settle together at one price cannot lose on both sides, so the loss of each such group is that of the worst
 * price. The daemon's `totals.maxLoss` is computed in the same way, but from all option contracts.
 */
export function riskOf(condors: Iterable<Condor>, now: number): number | null {
  const groups = new Map<string, Payoff[]>()
  for (const condor of condors) {
    if (isSettled(condor, now)) continue
    const curve = payoff(condor)
    if (!curve) return null
    const key = [condor.root, condor.expiration, condor.settlement].join()
    groups.set(key, [...(groups.get(key) ?? []), curve])
  }
  return [...groups.values()].reduce((sum, group) => sum + worst(group), 0)
}

/** Between the corners of all curves their sum is linear, so the worst price is at a corner. */
function worst(curves: Payoff[]): number {
  const corners = curves.flatMap(({ points }) => points.map(({ price }) => price))
  const sums = corners.map((price) => curves.reduce((sum, curve) => sum + plAt(curve, price), 0))
  return Math.max(0, -Math.min(...sums))
}

/** The payoff is level beyond the outer strikes. */
function plAt({ points }: Payoff, price: number): number {
  const next = points.findIndex((point) => point.price >= price)
  if (next < 0) return points.at(-1)!.pl
  const to = points[next]!
  const from = points[next - 1] ?? to
  const part = to.price > from.price ? (price - from.price) / (to.price - from.price) : 0
  return from.pl + part * (to.pl - from.pl)
}

function isSettled({ expiry }: Condor, now: number): boolean {
  // An older daemon has no expiry.
  const at = expiry?.settlesAt
  return at != null && Date.parse(at) <= now
}
