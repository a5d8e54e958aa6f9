/** What needs the owner: firing alerts of severity warning or critical, one entry for each condor, and broken condors. */
import type { Alert, Broken } from '../document'
import { bySeverity, firingOf, type Severity } from '../firing'
import { format } from '../format'
import { isCut, type Shown } from '../live'
import { strikesOf } from './entries'

/** A sentence about one subject. `alert` is null for what no rule reports. */
export interface Need {
  severity: Severity
  text: string
  alert: Alert | null
}

export interface Entry {
  key: string
  condorId: string | null
  /** The subject, as the daemon calls it. */
  name: string
  /** The most severe first; at least one. */
  needs: Need[]
  /** The profit or loss at mark; null if it is not known, undefined for what has none. */
  pl: number | null | undefined
  /** Whether all of its alerts are acknowledged. */
  isAcknowledged: boolean
}

type Facts = Pick<Shown, 'alerts' | 'broken' | 'condors'>

/** Returns the entries: the critical ones first, then the nearest expiration; entries of the account are last of their severity. */
export function entriesOf({ alerts, broken, condors }: Facts): Entry[] {
  const firing = firingOf(alerts.values()).filter(({ severity }) => severity !== 'info')
  const entries = new Map<string, Entry>()
  for (const alert of firing) {
    const key = alert.condorId ?? alert.underlying ?? 'account'
    const { name, text } = split(alert)
    const entry = entries.get(key) ?? { key, condorId: alert.condorId, name, needs: [], pl: undefined, isAcknowledged: false }
    entry.needs.push({ severity: alert.severity, text, alert })
    entries.set(key, entry)
  }
  for (const condor of broken.values()) {
    if (firing.some(({ condorId, rule }) => condorId === condor.id && rule === 'broken-condor')) continue
    add(entries, condor, { severity: 'critical', text: lossOfLegs(condor), alert: null })
  }
  const days = ({ condorId }: Entry) => (condorId === null ? undefined : (condors.get(condorId) ?? broken.get(condorId)))?.daysToExpiration ?? Infinity
  for (const entry of entries.values()) complete(entry, { condors, broken })
  return [...entries.values()].sort((one, other) => bySeverity(one.needs[0]!, other.needs[0]!) || compared(days(one), days(other)) || compared(one.key, other.key))
}

/** Why it is not known whether anything else needs the owner; null if it is known. The reason itself is in the header. */
export function doubtOf({ document, link, status }: Pick<Shown, 'document' | 'link' | 'status'>): string | null {
  if (!document || !status) return 'condord has not answered yet'
  if (!document.alerts) return 'this condord does not report alerts'
  if (isCut(link)) return 'the page is not connected to condord'
  if (!status.positions.readAt) return 'the account has not been read yet'
  if (status.state !== 'live' && status.state !== 'closed') return 'prices are not current'
  return status.positions.error ? 'the account cannot be read' : null
}

/** Splits an alert's sentence into its subject and what is true of it, without the profit or loss at that time. */
export function split({ text, condorId, underlying }: Alert): { name: string; text: string } {
  const at = text.indexOf(': ')
  const name = at < 0 ? (condorId ?? underlying ?? 'The account') : text.slice(0, at)
  const rest = at < 0 ? text : text.slice(at + 2)
  const end = rest.search(/\. P\/L [^a-z]/)
  return { name, text: end < 0 ? rest : rest.slice(0, end + 1) }
}

/** Adds what no rule reports to the entry of its condor, which may not be there yet. */
function add(entries: Map<string, Entry>, condor: Broken, need: Need) {
  const { id } = condor
  const entry = entries.get(id) ?? { key: id, condorId: id, name: nameOf(condor), needs: [], pl: null, isAcknowledged: false }
  entry.needs.push(need)
  entries.set(id, entry)
}

/** Fills in what follows from the rest of the entry. */
function complete(entry: Entry, { condors, broken }: Pick<Facts, 'condors' | 'broken'>) {
  const { condorId: id, needs } = entry
  needs.sort(bySeverity)
  entry.isAcknowledged = needs.every(({ alert }) => alert !== null && alert.acknowledgedAt !== null)
  if (id !== null) entry.pl = broken.has(id) ? broken.get(id)!.unrealizedPl : (condors.get(id)?.valuation.unrealizedPl ?? null)
}

/** The name of a condor in a sentence, as that of alerts is. */
const nameOf = (condor: Broken) => `${condor.root} ${strikesOf(condor)} ${format.day(condor.expiration)}`

function lossOfLegs({ legs, quantity }: Broken): string {
  const lost = legs.filter(({ held }) => held < quantity).map(({ side, right, strike }) => `${side} ${right} ${strike}`)
  return lost.length ? `this condor has lost its ${lost.join(' and its ')}.` : 'this condor has lost legs.'
}

const compared = <Value extends string | number>(one: Value, other: Value) => (one < other ? -1 : Number(one > other))

/** Whether an alert waits for its owner. */
export function isUnanswered({ state, severity, acknowledgedAt }: Alert): boolean {
  return state === 'firing' && severity !== 'info' && acknowledgedAt === null
}
