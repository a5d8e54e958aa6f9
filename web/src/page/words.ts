/**
 * Sentences about the connection, the stream and the market.
 *
 * They contain no age and no countdown: screen readers announce them on each change, so they must not change every second.
 */
import type { Document, Status } from '../document'
import { clock } from '../format'
import { minuteOfDay } from './dates'
import { isOld } from '../freshness'
import type { Link } from '../live'
import type { Gap } from './useGap'

/** The class names that style the state. */
export type Tone = 'good' | 'quiet' | 'warn' | 'bad'

export interface Standing {
  tone: Tone
  headline: string
  /** More sentences about it; none while everything is as it should be. */
  details: string[]
}

const HEADLINES: Record<Status['state'], string> = {
  starting: 'Starting',
  live: 'Live',
  closed: 'Market closed',
  stale: 'Prices are old',
  reconnecting: 'Reconnecting',
  halted: 'Halted',
}
/** Headlines that name the cause, by code, while the stream is not live. */
const CAUSES: Partial<Record<NonNullable<Status['code']>, string>> = {
  authFailed: 'Alpaca refuses the key',
  connectionLimit: 'Another program has the stream',
  unreachable: 'No connection to Alpaca',
  sourceLost: 'The relay has lost its source',
  busLost: 'No connection to the bus',
  leaderLost: 'No ingester leads',
}
const TONES: Record<Status['state'], Tone> = {
  starting: 'quiet',
  live: 'good',
  closed: 'quiet',
  stale: 'bad',
  reconnecting: 'bad',
  halted: 'bad',
}

/**
 * Returns what is not confirmed although the feed is live, as after a lost connection; null if nothing. Cards are then dimmed
 * or mark the price, so the page must not call its prices current. A single underlying may just not trade.
 */
export function unconfirmed(document: Pick<Document, 'condors'> & Partial<Pick<Document, 'underlyings'>> | null): string | null {
  const all = document?.condors ?? []
  const count = all.filter(({ valuation }) => valuation.unconfirmed).length
  if (count) {
    const which = count < all.length ? `${count} of ${all.length} condors` : count === 1 ? 'the condor' : 'all condors'
    return `the prices of ${which} are not confirmed`
  }
  // An older daemon has none.
  const priced = document?.underlyings?.filter(({ price }) => price !== null) ?? []
  return priced.length && priced.every((each) => each.unconfirmed) ? 'the prices of the underlyings are not confirmed' : null
}

/**
 * Describes the state. The link of this page to the daemon comes first: without it nothing else is known. `doubt` is what
 * `unconfirmed` returns.
 */
export function standing(link: Link, status: Status | null, now: number, doubt: string | null = null): Standing {
  const since = (at: string | number) => clock(at, now)
  const shown = status && `The page shows data from ${since(link.since)}`
  if (link.state === 'refused') {
    const details = [shown ? `${shown}.` : '', 'The token is missing or wrong.']
    return { tone: shown ? 'bad' : 'quiet', headline: 'Not connected to condord', details: details.filter(Boolean) }
  }
  if (link.state === 'reconnecting' || (status && link.state !== 'open')) {
    const headline = `No connection to condord since ${since(link.since)}`
    return { tone: 'bad', headline, details: [shown ? `${shown} and reconnects by itself.` : 'The page reconnects by itself.'] }
  }
  if (!status) return { tone: 'quiet', headline: 'Connecting to condord', details: [] }
  const isUsual = !isOld(link, status)
  const details = [
    isUsual && doubt && !status.positions.error ? sentence(doubt) : null,
    status.reason && sentence(status.reason),
    isUsual ? null : `Since ${since(status.since)}.`,
    ...accountSentences(status, now),
  ].filter((detail) => detail !== null)
  const headline = HEADLINES[status.state] ?? status.state
  if (!isUsual) return { tone: toneOf(status), headline: causeOf(status) ?? headline, details }
  if (!status.positions.error) return { tone: status.reason || doubt ? 'warn' : toneOf(status), headline, details }
  // An error of the positions does not affect the prices, so the details mention prices only if their state is known.
  const prices = doubt ? sentence(doubt) : status.state === 'live' ? '' : 'The market is closed.'
  return { tone: status.positions.readAt ? 'warn' : 'bad', headline: 'Account not read', details: [prices, ...details].filter(Boolean) }
}

/** Returns the cause of a stream that is not live, as a headline; null if it is not known. */
export function causeOf({ code, state }: Status): string | null {
  return (state !== 'starting' && code && CAUSES[code]) || null
}

/** Returns the title of the tab: the total, and whether some of its prices are old. */
export function title(link: Link, status: Status | null, total: string, doubt: string | null = null): string {
  return status ? `${isOld(link, status) || doubt ? '(old) ' : ''}${total} · condord` : 'condord'
}

/** Returns the time of the next attempt while that is in the future. */
export function retrySentence({ retryAt }: Link, now: number): string | null {
  return retryAt !== null && retryAt > now ? `Next attempt at ${clock(retryAt, now)}.` : null
}

/** Returns the sentence about a time without a connection, once there is one again. */
export function gapSentence({ from, until }: Gap, now: number): string {
  return `Connected again. No data was received from ${clock(from, now)} to ${clock(until, now)}.`
}

/** Returns the feed and the account. */
export function sourceWords(status: Status): string {
  const sources: Record<Status['source'], string> = {
    'alpaca-paper': 'paper account',
    'alpaca-live': 'live account',
    simulator: 'simulated account',
  }
  return `${status.feed} · ${sources[status.source] ?? status.source}`
}

/** Returns when the market closes or opens; null if that is not known. */
export function marketWords({ market }: Status, now: number): string | null {
  if (market.isOpen === null) return null
  const { isOpen, nextClose, nextOpen } = market
  if (!isOpen) return nextOpen ? `opens ${minuteOfDay(nextOpen, now)}` : 'closed'
  // Only some options trade a quarter of an hour longer than the exchange.
  return nextClose ? `closes ${/:15:/.test(nextClose) ? 'by ' : ''}${minuteOfDay(nextClose, now)}` : 'open'
}

/** The state of a newer daemon may be unknown here, which counts as bad. */
function toneOf({ state }: Status): Tone {
  return TONES[state] ?? 'bad'
}

function accountSentences({ positions: { error, readAt }, reason, state }: Status, now: number): string[] {
  if (!error) return []
  const isHeadline = state === 'live' || state === 'closed'
  const why = error.text === reason ? 'For the same reason the account cannot be read.' : `The account cannot be read: ${sentence(error.text)}`
  const last = readAt ? [`It was last read at ${clock(readAt, now)}.`] : []
  return [isHeadline ? sentence(error.text) : why, ...last]
}

export function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(whole) ? whole : `${whole}.`
}
