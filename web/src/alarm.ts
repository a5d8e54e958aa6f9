/** The alarm of a condor: the sentences that its owner has to read, with the severity of the worst one. */
import type { Alert, Condor } from './document'
import { bySeverity, firingFor, type Severity } from './firing'
import type { Format } from './format'
import type { CurrentPrice } from './freshness'
import type { Note } from './notes'

export interface Sentence {
  severity: Severity
  text: string
  /** The id of the alert to acknowledge; undefined if there is none, or if it has been acknowledged. */
  alertId?: string | undefined
}

export interface Alarm {
  severity: Severity
  sentences: Sentence[]
}

/** What the text repeats of its surroundings: the P/L of when it fired, and that it is about one condor. */
export const BESIDE = /\. P\/L .*(?=\.)| \(1 condor\)/g
/** What was measured, and the price if it has one. */
const MEASURED = / is (?=.*\d)(.*?(, \S+ [\d,.]+)?)(?=[;.]\B)/
/** The name in the card's title, and the cut-offs that it counts down to on the last day, when these times have no date. */
const SHOWN = /^[^:]*: (Alpaca [^,]*ET \(.*?, and )?|; Alpaca (has|takes) .* ET/g

/** Returns the text of a firing alert without the parts shown beside it: the figures with their time, and the current price after them. */
export function currentText({ text, since }: Alert, current: CurrentPrice | null, format: Format, now: number): string {
  return text
    .replace(BESIDE, '')
    .replace(MEASURED, (_, what, price) => {
      const lasts = /^(breach|test)ed/.test(what) // as long as the alert fires
      const later = price && current ? `, now ${priceText(current, format)}` : ''
      return ` ${lasts ? 'has been' : 'was'} ${what} ${lasts && !price ? 'since' : 'at'} ${format.clock(since, now)}${later}`
    })
}

const priceText = ({ price, isOld }: CurrentPrice, format: Format) => `${format.money(price)}${isOld ? ' (unconfirmed)' : ''}`

/** Returns the alarm of `condor` by its firing alerts, its short strikes and its broken legs; null if nothing is the matter. */
export function alarmOn(condor: Condor, alerts: Iterable<Alert>, notes: Note[], current: CurrentPrice | null, format: Format, now: number): Alarm | null {
  const all = firingFor(condor.id, alerts)
  const rules = new Set(all.map(({ rule }) => rule))
  // A breached condor is tested too, and both alerts have the same sentence.
  const firing = all.filter(({ rule }) => rule !== 'tested' || !rules.has('breached'))
  const broken = notes.filter(({ look }) => look === 'broken')
  return alarmOf([
    ...firing.map((each) => alertSentence(each, current, format, now)),
    ...broken.map(({ text }) => ({ severity: 'critical' as const, text: `${text}.` })),
    ...(rules.has('breached') || rules.has('tested') ? [] : shortStrike(condor, current, format)),
  ])
}

/** Returns the alarm of `sentences`; null if there are none. */
export function alarmOf(sentences: Sentence[]): Alarm | null {
  const [first] = sentences.sort(bySeverity)
  return first ? { severity: first.severity, sentences } : null
}

/** Returns the sentence of an alert for a card. */
export function alertSentence(alert: Alert, current: CurrentPrice | null, format: Format, now: number): Sentence {
  const { id, rule, severity, acknowledgedAt } = alert
  const own = rule === 'expires-today' ? 'expires today.' : currentText(alert, current, format, now).replace(SHOWN, '')
  return { severity, text: own.replace(/^./, (letter) => letter.toUpperCase()), alertId: acknowledgedAt ? undefined : id }
}

/** The sentence of a tested or breached short strike, which needs no alert: alerts wait before they fire, or are off. */
function shortStrike({ risk, legs, underlying }: Condor, current: CurrentPrice | null, format: Format): Sentence[] {
  const isTested = risk?.tested === 'put' || risk?.tested === 'call'
  if (!risk?.breached && !isTested) return []
  const { put, call } = risk.distance
  const side = isTested ? risk.tested : (put.dollars ?? 0) < (call.dollars ?? 0) ? 'put' : 'call'
  const { dollars, sigmas } = side === 'put' ? put : call
  const short = legs.find((leg) => leg.side === 'short' && leg.right === side)
  if (!short || dollars === null) return []
  const place = `${underlying} ${current ? priceText(current, format) : format.money(risk.price)}`
  const isBeyond = dollars < 0
  const measured = isBeyond ? (side === 'put' ? 'below' : 'above') : `away${sigmas === null ? '' : ` (${format.sigmas(sigmas)})`}`
  const text = `Short ${side} ${format.strike(short.strike)} ${isBeyond ? 'breached' : 'tested'}: ${place}, ${format.money(Math.abs(dollars))} ${measured}.`
  return [{ severity: isBeyond ? 'critical' : 'warning', text }]
}
