/** The maximum loss of condors together with what is left of broken ones. */
import type { Broken, Condor, Unmatched } from '../document'
import { plAt } from '../payoff'
import type { RiskWithLeft } from './expirations'

/** One thing that is held: its profit or loss at expiration, its strikes, and its calls less those that are short. */
interface Part {
  root: string
  strikes: number[]
  calls: number
  pl: (price: number) => number
}

/**
 * Returns how the loss is counted, given the contracts in no condor by symbol.
 *
 * Those of a root settle at one price, so the loss is that of the worst one, from 0 on. It has no bound above an uncovered
 * call, and is not known where something else covers a short.
 */
export const riskWithLeft =
  (unmatched: ReadonlyMap<string, Unmatched>): RiskWithLeft =>
  (condors, broken) => {
    const left = broken.map((each) => leftPart(each, unmatched))
    if (condors.some(({ credit }) => credit === null) || left.includes(null)) return null
    const parts = [...condors.map(condorPart), ...(left as Part[])]
    const roots = [...new Set(parts.map(({ root }) => root))]
    return roots.reduce((sum, root) => sum + worst(parts.filter((part) => part.root === root)), 0)
  }

function worst(parts: Part[]): number {
  if (parts.reduce((sum, { calls }) => sum + calls, 0) < 0) return Infinity
  const sums = [0, ...parts.flatMap(({ strikes }) => strikes)].map((price) => parts.reduce((sum, { pl }) => sum + pl(price), 0))
  return Math.max(0, -Math.min(...sums))
}

function condorPart(condor: Condor): Part {
  return { root: condor.root, strikes: condor.legs.map(({ strike }) => strike), calls: 0, pl: (price) => plAt(condor, price) }
}

/** Returns null if an entry price is not known, or if what covers a short is not one of the other legs. */
function leftPart({ root, legs }: Broken, unmatched: ReadonlyMap<string, Unmatched>): Part | null {
  const held = legs.filter((leg) => leg.held).map((leg) => ({ ...leg, quantity: leg.side === 'long' ? leg.held : -leg.held, entry: unmatched.get(leg.symbol) }))
  const net = (right: string) => held.reduce((sum, leg) => sum + (leg.right === right ? leg.quantity : 0), 0)
  const isCoveredElsewhere = held.some(({ right, entry }) => entry?.cover && net(right) < 0)
  if (isCoveredElsewhere || held.some(({ entry }) => entry?.averageEntryPrice == null || entry.multiplier === null)) return null
  const pl = (price: number) =>
    held.reduce((sum, { right, strike, quantity, entry }) => {
      const worth = Math.max(0, right === 'call' ? price - strike : strike - price)
      return sum + (worth - entry!.averageEntryPrice!) * quantity * entry!.multiplier!
    }, 0)
  return { root, strikes: held.map(({ strike }) => strike), calls: net('call'), pl }
}
