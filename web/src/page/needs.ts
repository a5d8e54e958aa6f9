/** The list of what needs the owner: firing alerts of severity warning or critical, one entry for each condor, and broken condors. */
import type { Alert, Broken, Condor } from '../document'
import { firingOf, severityRank, type Severity } from '../firing'
import { BESIDE, currentText } from '../alarm'
import { format } from '../format'
import { isOld, currentPrice, type CurrentPrice } from '../freshness'
import type { Shown } from '../live'
import { lossOf } from '../broken'
import { strikesOf } from '../naming'
import { alertKey, brokenKey, idOf } from '../parts'
import { byKeys, isBroken, nearnessOf } from '../urgency'
import { plOf } from './entries'
import { unconfirmed } from './words'

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
  /** Whether the profit or loss may be out of date. */
  isOld: boolean
  /** Whether all of its alerts are acknowledged. */
  isAcknowledged: boolean
}

/** The time for orders, which stands before the sentence as the time left; it has no date on the day itself. */
const ORDERS = /Alpaca (takes|has taken no) orders for it (until|since) [\d:]+ ET( \([^)]*\))?,? and (?!may)|; Alpaca (takes|has taken no) orders for it (until|since) [\d:]+ ET/
const ORDERS_AND = /(takes|has taken no) orders (for it )?(until|since) [\d:]+( ET)?( \([^)]*\))? and may/

const UNTIL = /takes orders( for it)? until/
const FROM = /(liquidate(?: it)?) from [\d:]+( ET( on \w+ \d+)?)?/

type Facts = Pick<Shown, 'alerts' | 'broken' | 'condors' | 'underlyings' | 'link' | 'status' | 'now'>

/**
 * Returns the entries: the critical ones first, then those not acknowledged, then by nearness, as in the list; entries of an
 * underlying or of the account are last of their severity.
 */
export function entriesOf({ alerts, broken, condors, underlyings, link, status, now }: Facts): Entry[] {
  const firing = firingOf(alerts.values()).filter(({ severity }) => severity !== 'info')
  const entries = new Map<string, Entry>()
  for (const alert of firing) {
    const key = alertKey(alert, condors) ?? alert.underlying ?? 'account'
    const { name, text } = currentOf(alert, { broken, condors, underlyings, link, status, now })
    const entry = entries.get(key) ?? { key, condorId: alert.condorId, name, needs: [], pl: undefined, isOld: isOld(link, status), isAcknowledged: false }
    const own = condors.has(key) || broken.get(idOf(key))?.expiry ? text.replace(ORDERS, '').replace(ORDERS_AND, 'may') : text
    entry.needs.push({ severity: alert.severity, text: own, alert })
    entries.set(key, entry)
  }
  for (const condor of broken.values()) {
    if (firing.some(({ condorId, rule }) => condorId === condor.id && rule === 'broken-condor')) continue
    add(entries, brokenKey(condor.id, condors), condor, isOld(link, status), { severity: 'critical', text: `this condor has ${lossOf(condor)}.`, alert: null })
  }
  const condorOf = ({ key }: Entry) => condors.get(key) ?? broken.get(idOf(key))
  for (const entry of entries.values()) complete(entry, condorOf(entry))
  const rank = (entry: Entry) => {
    const condor = condorOf(entry)
    return [...weightOf(entry.needs[0]!), ...(condor ? nearnessOf(condor, now) : [Infinity, true, Infinity, entry.key])]
  }
  return [...entries.values()].sort(byKeys(rank))
}

/** Why more than what is listed may need the owner; null if the list is complete. The header has the details. */
export function doubtOf({ document, link, status }: Pick<Shown, 'document' | 'link' | 'status'>): string | null {
  if (!document || !status) return 'condord has not answered yet'
  if (!document.alerts) return 'this condord does not report alerts'
  if (link.state !== 'open') return 'the page is not connected to condord'
  if (!status.positions.readAt) return 'the account has not been read yet'
  if (isOld(link, status)) return 'prices are not current'
  return status.positions.error ? 'the account cannot be read' : unconfirmed(document)
}

/** Returns the parts of a firing alert's sentence as of `now`: with the time of its figures, and what holds after the cut-offs. */
export function currentOf(alert: Alert, { broken, condors, underlyings, link, status, now }: Pick<Facts, 'broken' | 'condors' | 'underlyings' | 'link' | 'status' | 'now'>) {
  const parts = split(alert, currentPrice(underlyings.get(alert.underlying ?? ''), link, status), now)
  const id = alert.condorId ?? ''
  return { ...parts, text: afterCutoffs(parts.text, condors.get(id) ?? broken.get(id), now) }
}

/** Returns the sentence of an alert on `condor` with what holds after the cut-offs that have passed. */
export function afterCutoffs(text: string, condor: Condor | Broken | undefined, now: number): string {
  for (const { kind, at } of condor?.expiry?.cutoffs ?? []) {
    if (Date.parse(at) <= now) text = kind === 'orders' ? text.replace(UNTIL, 'has taken no orders$1 since') : text.replace(FROM, '$1 at any time')
  }
  return text
}

/** Splits an alert's sentence into its subject and the rest; without `now` it is that of the moment at which it fired or ended. */
export function split(alert: Alert, current: CurrentPrice | null = null, now?: number): { name: string; text: string } {
  const text = now === undefined ? alert.text.replace(BESIDE, '') : currentText(alert, current, format, now)
  const at = text.indexOf(': ')
  return at < 0 ? { name: alert.condorId ?? alert.underlying ?? 'The account', text } : { name: text.slice(0, at), text: text.slice(at + 2) }
}

/** Adds a need that no rule reports to its condor's entry, which is created if it does not exist. */
function add(entries: Map<string, Entry>, key: string, condor: Broken, isOld: boolean, need: Need) {
  const entry = entries.get(key) ?? { key, condorId: condor.id, name: nameOf(condor), needs: [], pl: null, isOld, isAcknowledged: false }
  entry.needs.push(need)
  entries.set(key, entry)
}

/** Fills in the fields that follow from the others. */
function complete(entry: Entry, condor: Condor | Broken | undefined) {
  const { condorId, needs } = entry
  needs.sort(byKeys(weightOf))
  entry.isAcknowledged = needs.every(({ alert }) => alert !== null && alert.acknowledgedAt !== null)
  if (condorId === null) return
  entry.pl = condor ? plOf(condor) : null
  entry.isOld ||= !!condor && !isBroken(condor) && condor.valuation.unconfirmed
}

/** The more severe first, then unacknowledged ones, as in the terminal. */
const weightOf = ({ severity, alert }: Need) => [severityRank({ severity }), alert?.acknowledgedAt != null]

/** The name of a condor in a sentence, in the form that the sentences of alerts have. */
const nameOf = (condor: Broken) => `${condor.root} ${strikesOf(condor)} ${format.day(condor.expiration)}`


/** Whether an alert waits for its owner. */
export function isUnanswered({ state, severity, acknowledgedAt }: Alert): boolean {
  return state === 'firing' && severity !== 'info' && acknowledgedAt === null
}
