/**
 * How soon a condor needs its owner, and the order that follows from it.
 *
 * Firing alerts come first, acknowledged or not, as acknowledging must not move a card. Then come condors that expire
 * within a week, then those near the profit at which the rules take it.
 */
import type { Alert, Condor } from './document'

/** The most urgent first. */
export const URGENCIES = ['critical', 'warning', 'expiring', 'target', 'calm'] as const

export type Urgency = (typeof URGENCIES)[number]

const EXPIRING_DAYS = 7
const NEAR_TARGET = 0.8

/** Returns the urgency of `condor`, given the alerts of the document. */
export function urgencyOf(condor: Condor, alerts: Iterable<Alert>): Urgency {
  const firing = [...alerts].filter(({ condorId, state }) => condorId === condor.id && state === 'firing')
  const isFiring = (severity: Alert['severity']) => firing.some((alert) => alert.severity === severity)
  if (isFiring('critical')) return 'critical'
  if (isFiring('warning')) return 'warning'
  if (condor.daysToExpiration <= EXPIRING_DAYS) return 'expiring'
  return isNearTarget(condor) ? 'target' : 'calm'
}

/** Compares two condors: the more urgent first, then the nearer expiration, then the larger loss in percent of the risk. */
export function compareUrgency(alerts: Iterable<Alert>) {
  const known = [...alerts]
  const rank = (condor: Condor) => URGENCIES.indexOf(urgencyOf(condor, known))
  const loss = ({ valuation }: Condor) => valuation.percentOfRisk ?? Infinity
  return (one: Condor, other: Condor): number =>
    rank(one) - rank(other) ||
    one.daysToExpiration - other.daysToExpiration ||
    compared(loss(one), loss(other)) ||
    compared(one.id, other.id)
}

function isNearTarget({ exits, valuation: { unrealizedPl } }: Condor): boolean {
  // An older daemon has no exits.
  const target = exits?.target ?? null
  return target !== null && target > 0 && unrealizedPl !== null && unrealizedPl >= NEAR_TARGET * target
}

const compared = <Value extends string | number>(one: Value, other: Value) => (one < other ? -1 : Number(one > other))
