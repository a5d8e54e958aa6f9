/**
 * How soon a condor needs its owner, and the order that follows from it.
 *
 * Firing alerts come first, acknowledged or not, as acknowledging must not move a card. A breached or tested condor is as
 * urgent even without a firing alert, as alerts fire with a delay and may be turned off. Then come condors that expire
 * within a week, then those near the profit at which the rules close them. Of condors that are equally urgent and expire on
 * the same day, those for which Alpaca still takes orders come first, as nothing can be done about the others, and of these the
 * broken ones. The terminal has the same rule in condord/live/urgency.py, and tests/urgency.cases.json holds both to it.
 */
import type { Alert, Broken, Condor } from './document'
import { firingFor, severityRank, type Severity } from './firing'

/** The most urgent first. */
export const URGENCIES = ['critical', 'warning', 'expiring', 'target', 'calm'] as const

export type Urgency = (typeof URGENCIES)[number]

const EXPIRING_DAYS = 7
const NEAR_TARGET = 0.8

/** Whether a condor has lost legs. */
export const isBroken = (condor: Condor | Broken): condor is Broken => !('valuation' in condor)

/** Returns how severe the state of a condor is, whether or not an alert fires for it. */
export function severityOfState(condor: Condor | Broken): Severity | null {
  // An older daemon sends no risk.
  if (isBroken(condor) || condor.risk?.breached) return 'critical'
  return (condor.risk?.tested ?? 'none') === 'none' ? null : 'warning'
}

/** Returns the urgency of `condor`, given the alerts of the document. */
export function urgencyOf(condor: Condor | Broken, alerts: Iterable<Alert>): Urgency {
  const severities = [firingFor(condor.id, alerts)[0]?.severity, severityOfState(condor)]
  if (isBroken(condor) || severities.includes('critical')) return 'critical'
  if (severities.includes('warning')) return 'warning'
  if (condor.daysToExpiration <= EXPIRING_DAYS) return 'expiring'
  return isNearTarget(condor) ? 'target' : 'calm'
}

type Keys = readonly (string | number | boolean)[]

/**
 * Returns what condors of one urgency are compared by at `now`, in milliseconds: the days left, whether it is too late for
 * orders, the profit in percent of the risk, the id. A broken condor is before every percentage, an unknown percentage after all.
 */
export function nearnessOf(condor: Condor | Broken, now: number): Keys {
  const percent = isBroken(condor) ? -Infinity : condor.valuation.percentOfRisk
  return [Math.max(0, condor.daysToExpiration), areOrdersOver(condor, now), percent ?? Infinity, condor.id]
}

/**
 * Returns what alerts that fire are compared by: the more severe first, then those not acknowledged, then by the nearness of
 * their `condor`, then the newest. Those of an underlying or of the account are last of their severity.
 */
export const alertKeys = (alert: Alert, condor: Condor | Broken | undefined, now: number): Keys => [
  severityRank(alert),
  alert.acknowledgedAt !== null,
  ...(condor ? nearnessOf(condor, now) : FARTHEST),
  -Date.parse(alert.since),
  alert.id,
]

const FARTHEST: Keys = [Infinity, true, Infinity, '']

/** Whether Alpaca no longer takes orders for `condor`, as far as that is known. */
function areOrdersOver(condor: Condor | Broken, now: number): boolean {
  // An older daemon has no expiry, or none of what is broken.
  const cutoffs = (condor.expiry?.cutoffs ?? []).filter(({ kind }) => kind === 'orders')
  return cutoffs.length ? cutoffs.some(({ at }) => Date.parse(at) <= now) : condor.daysToExpiration < 0
}

/** Returns what condors are compared by: the more urgent first, then by nearness. */
export const urgencyKeys = (condor: Condor | Broken, alerts: Iterable<Alert>, now: number): Keys => [
  URGENCIES.indexOf(urgencyOf(condor, alerts)),
  ...nearnessOf(condor, now),
]

/** Compares by what `keysOf` returns, the first that differs; the lower comes first. */
export const byKeys = <Item>(keysOf: (item: Item) => Keys) => (one: Item, other: Item) => {
  const its = keysOf(other)
  for (const [at, mine] of keysOf(one).entries()) if (mine !== its[at]) return mine < its[at]! ? -1 : 1
  return 0
}

/**
 * Compares two condors: the more urgent first, then the nearer expiration, then those that orders are still taken for at `now`,
 * then the broken ones, then the larger loss in percent of the risk.
 */
export function compareUrgency(alerts: Iterable<Alert>, now = Date.now()) {
  const known = [...alerts]
  return byKeys((condor: Condor | Broken) => urgencyKeys(condor, known, now))
}

function isNearTarget({ exits, valuation: { unrealizedPl } }: Condor): boolean {
  // An older daemon has no exits.
  const target = exits?.target ?? 0
  return target > 0 && (unrealizedPl ?? 0) >= NEAR_TARGET * target
}
