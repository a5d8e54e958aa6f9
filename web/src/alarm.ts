/** What the owner of a condor has to know, as one alarm with the severity of its worst sentence. */
import type { Alert, Condor } from './document'
import { bySeverity, firingFor, type Severity } from './firing'
import type { Format } from './format'
import type { Present } from './freshness'
import type { Note } from './notes'

export interface Sentence {
  severity: Severity
  text: string
  /** The id of the alert to acknowledge; null if there is none, or if it has been acknowledged. */
  alertId: string | null
}

export interface Alarm {
  severity: Severity
  sentences: Sentence[]
}

const FULL_NAMES = /^[^:]*: /
/** The profit or loss at the end of an alert's text is that of when it fired; the present one is shown beside it. */
const FORMER_PL = /\. P\/L [^:]*$/
const FORMER_PRICE = /, (\S+) [\d,]+\.\d\d/
/** What the card counts down to on the last day, on which these times have no date. */
const CUTOFFS = /^Alpaca [^,]*ET \(.*?, and |; Alpaca has .*? ET/

/** Returns the text of an alert without what is shown beside it, and with the present price after that of when it fired. */
export function presentText({ text, underlying }: Pick<Alert, 'text' | 'underlying'>, present: Present | null, format: Format): string {
  const words = text.replace(FORMER_PL, '.').replace(' (1 condor)', '')
  if (!present) return words
  return words.replace(FORMER_PRICE, (former, name) => (name === underlying ? `${former}, now ${priceText(present, format)}` : former))
}

const priceText = ({ price, isOld }: Present, format: Format) => `${format.money(price)}${isOld ? ' (unconfirmed)' : ''}`

/** Returns the alarm of `condor` by its firing alerts, its short strikes and its broken legs; null if nothing is the matter. */
export function alarmOn(condor: Condor, alerts: Iterable<Alert>, notes: Note[], present: Present | null, format: Format): Alarm | null {
  const all = firingFor(condor.id, alerts)
  const rules = new Set(all.map(({ rule }) => rule))
  // A breached condor is tested too, and both alerts have the same sentence.
  const firing = all.filter(({ rule }) => rule !== 'tested' || !rules.has('breached'))
  const broken = rules.has('broken-condor') ? [] : notes.filter(({ look }) => look === 'broken')
  const sentences: Sentence[] = [
    ...firing.map((each) => alertSentence(each, present, format)),
    ...broken.map(({ text }) => ({ severity: 'critical' as const, text: `${text}.`, alertId: null })),
    ...(rules.has('breached') || rules.has('tested') ? [] : shortStrike(condor, present, format)),
  ]
  return alarmOf(sentences)
}

/** Returns the alarm of a condor that lost legs. */
export function brokenAlarm(id: string, alerts: Iterable<Alert>, present: Present | null, format: Format): Alarm | null {
  return alarmOf(firingFor(id, alerts).map((each) => alertSentence(each, present, format)))
}

function alarmOf(sentences: Sentence[]): Alarm | null {
  const sorted = [...sentences].sort(bySeverity)
  return sorted[0] ? { severity: sorted[0].severity, sentences: sorted } : null
}

/** The card has the name of its condor in its title. */
function alertSentence(alert: Alert, present: Present | null, format: Format): Sentence {
  const { id, rule, severity, acknowledgedAt } = alert
  const own = rule === 'expires-today' ? 'Expires today.' : presentText(alert, present, format).replace(FULL_NAMES, '').replace(CUTOFFS, '')
  return { severity, text: own.charAt(0).toUpperCase() + own.slice(1), alertId: acknowledgedAt ? null : id }
}

/** Alerts wait before they fire, and may be turned off. */
function shortStrike({ risk, legs, underlying }: Condor, present: Present | null, format: Format): Sentence[] {
  const isTested = risk?.tested === 'put' || risk?.tested === 'call'
  if (!risk?.breached && !isTested) return []
  const { put, call } = risk.distance
  const side = isTested ? risk.tested : (put.dollars ?? 0) < (call.dollars ?? 0) ? 'put' : 'call'
  const { dollars, sigmas } = side === 'put' ? put : call
  const short = legs.find((leg) => leg.side === 'short' && leg.right === side)
  if (!short || dollars === null) return []
  const place = `${underlying} ${present ? priceText(present, format) : format.money(risk.price)}`
  const isBeyond = dollars < 0
  const away = `${format.money(Math.abs(dollars))} ${isBeyond ? (side === 'put' ? 'below' : 'above') : 'away'}`
  const measured = sigmas === null || isBeyond ? away : `${away} (${format.sigmas(sigmas)})`
  const text = `Short ${side} ${format.strike(short.strike)} ${isBeyond ? 'breached' : 'tested'}: ${place}, ${measured}.`
  return [{ severity: isBeyond ? 'critical' : 'warning', text, alertId: null }]
}
