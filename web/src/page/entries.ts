/** The entries of the list: the held condors and those that lost legs, which stay in their place as full entries. */
import type { Alert, Broken, Condor } from '../document'
import { signedUsd } from '../format'
import type { Live } from '../live'
import { bySeverity, firingOf, type Severity } from '../firing'
import { strikesOf } from '../naming'
import { alertKey, idOf } from '../parts'
import { isBroken, severityOfState, urgencyKeys } from '../urgency'

export { isBroken, strikesOf, urgencyKeys }

export type Entry = Condor | Broken

export const plOf = (entry: Entry) => (isBroken(entry) ? entry.unrealizedPl : entry.valuation.unrealizedPl)

/** The root names adjusted contracts, which the underlying does not. */
export const nameOf = ({ root }: Entry) => root

/** Returns the condor or broken condor of that key; each is tracked by itself. */
export function entryOf(live: Pick<Live, 'condors' | 'broken'>, key: string): Entry | undefined {
  return live.condors.value.get(key) ?? live.broken.value.get(idOf(key))
}

/** Returns all entries, in the daemon's order. */
export function entriesOf({ condors, broken }: Pick<Live, 'condors' | 'broken'>): Entry[] {
  return [...broken.value.values(), ...condors.value.values()]
}

const held = (read: (condor: Condor) => number | null) => (entry: Entry) => (isBroken(entry) ? null : read(entry))

/** The values that the list can be sorted by in any view, and that its groups have sums of. The table has more, see columns.ts. */
export const VALUES = {
  condor: (entry: Entry) => `${nameOf(entry)} ${entry.expiration}`,
  expires: ({ expiration }: Entry) => expiration,
  pl: plOf,
  today: held(({ valuation }) => valuation.dayPl),
  percent: held(({ valuation }) => valuation.percentOfMaxProfit),
  prob: held(({ risk }) => risk.probabilities.profit),
  theta: held(({ risk }) => risk.theta),
}

/** From here on cents are not worth their width. */
const WITHOUT_CENTS = 10_000

/** A profit or loss such as −$511.00; in whole dollars on a phone, and from $10,000 on. */
export const amount = (value: number | null, isNarrow = false) =>
  signedUsd(value, { cents: !isNarrow && Math.abs(value ?? 0) < WITHOUT_CENTS })

/** The alert that an entry is marked with. */
export interface Mark {
  severity: Severity
  text: string
}

/** Returns the most severe firing alert of each entry, by its key, given the condors that are whole. */
export function marksOf(alerts: Iterable<Alert>, condors: ReadonlyMap<string, Condor>): Map<string, Mark> {
  const marks = new Map<string, Mark>()
  for (const alert of firingOf(alerts)) {
    const key = alertKey(alert, condors)
    if (key && !marks.has(key)) marks.set(key, { severity: alert.severity, text: alert.text })
  }
  return marks
}

/** Returns the mark of an entry: its alert, or its state where that is more severe, as alerts wait before they fire. */
export function markOf(entry: Entry | undefined, alert: Mark | undefined): Mark | undefined {
  const severity = entry ? severityOfState(entry) : null
  if (!entry || !severity || (alert && bySeverity(alert, { severity }) <= 0)) return alert
  if (isBroken(entry)) return { severity, text: 'legs are missing' }
  return { severity, text: severity === 'critical' ? 'a short strike is breached' : 'a short strike is tested' }
}
