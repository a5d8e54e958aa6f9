/** The expirations of the condors, with what could be lost at each. */
import type { Broken, Condor } from '../document'
import { plAt } from '../payoff'

export interface Expiration {
  date: string
  days: number
  /** The underlyings, each once. */
  names: string[]
  broken: number
  /** The maximum loss of the condors and of what is left of broken ones, in dollars; null if a part of it is not known, undefined until it is computed. */
  risk: number | null | undefined
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
    const all = [...own, ...ownBroken]
    const live = own.filter((condor) => !isSettled(condor, now))
    return {
      date,
      days: all[0]!.daysToExpiration,
      names: [...new Set(all.map(({ underlying }) => underlying))],
      broken: ownBroken.length,
      risk: ownBroken.length ? riskWithLeft?.(live, ownBroken) : riskOf(live, now),
      isExpired: !live.length && !ownBroken.length,
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
  const groups = new Map<string, Condor[]>()
  for (const condor of condors) {
    if (isSettled(condor, now)) continue
    if (condor.credit === null) return null
    const key = [condor.root, condor.expiration, condor.settlement].join()
    groups.set(key, [...(groups.get(key) ?? []), condor])
  }
  return [...groups.values()].reduce((sum, group) => sum + worst(group), 0)
}

/** Between the strikes of all condors their sum is linear, and beyond them it is level, so the worst price is a strike. */
function worst(group: Condor[]): number {
  const strikes = group.flatMap(({ legs }) => legs.map(({ strike }) => strike))
  return Math.max(0, ...strikes.map((strike) => -group.reduce((sum, condor) => sum + plAt(condor, strike), 0)))
}

// An older daemon has no expiry.
const isSettled = ({ expiry }: Condor, now: number) => Date.parse(expiry?.settlesAt ?? '') <= now
