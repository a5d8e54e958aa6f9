/**
 * Sentences about the connection, the stream and the market.
 *
 * They contain no age and no countdown: screen readers announce them on each change, so they must not change every second.
 */
import type { Notice, Status } from '../document'
import { clock, day } from '../format'
import { isCut, type Link, type Shown } from '../live'
import type { Gap } from './useGap'

/** What the state is styled by. */
export type Tone = 'good' | 'quiet' | 'bad'

export interface Standing {
  tone: Tone
  headline: string
  /** More sentences below the headline. */
  details: string[]
}

const HEADLINES: Record<Status['state'], string> = {
  starting: 'Starting',
  live: 'Live',
  closed: 'Market closed',
  stale: 'Prices are old',
  reconnecting: 'No connection to Alpaca',
  halted: 'Halted',
}
const TONES: Record<Status['state'], Tone> = {
  starting: 'quiet',
  live: 'good',
  closed: 'quiet',
  stale: 'bad',
  reconnecting: 'bad',
  halted: 'bad',
}

/** Describes the state. The link of this page to the daemon comes first: without it nothing else is known. */
export function standing(link: Link, status: Status | null, now: number): Standing {
  const since = (at: string | number) => clock(at, now)
  const shown = status && `The page shows data from ${since(link.since)}`
  if (link.state === 'refused') {
    const details = [shown ? `${shown}.` : '', 'The token is missing or wrong.']
    return { tone: shown ? 'bad' : 'quiet', headline: 'Not connected to condord', details: details.filter(Boolean) }
  }
  if (link.state === 'reconnecting') {
    const headline = `No connection to condord since ${since(link.since)}`
    return { tone: 'bad', headline, details: [shown ? `${shown} and reconnects by itself.` : 'The page reconnects by itself.'] }
  }
  if (!status) return { tone: 'quiet', headline: 'Connecting to condord', details: [] }
  const details = [
    status.reason && sentence(status.reason),
    status.state === 'live' || status.state === 'closed' ? null : `Since ${since(status.since)}.`,
    marketSentence(status, now),
    ...accountSentences(status, now),
  ]
  const tone = status.positions.error ? 'bad' : toneOf(status)
  const headline = HEADLINES[status.state] ?? status.state
  return { tone, headline, details: details.filter((detail) => detail !== null) }
}

/** Whether prices are old. An account that cannot be read does not make them old. */
export function isOld(link: Link, status: Status | null): boolean {
  return isCut(link) || (status !== null && toneOf(status) === 'bad')
}

/** Returns the title of the tab: the total, and whether its prices are old. */
export function title(link: Link, status: Status | null, total: string): string {
  return status ? `${isOld(link, status) ? '(old) ' : ''}${total} · condord` : 'condord'
}

/** Returns the time of the next attempt while that is in the future. */
export function retrySentence({ retryAt }: Link, now: number): string | null {
  return retryAt !== null && retryAt > now ? `Next attempt at ${clock(retryAt, now)}.` : null
}

/** The texts of these begin with their subject: a condor, or the contracts of an expiration. */
const ENDINGS: readonly Notice['code'][] = ['expiresToday', 'lastTradingDay', 'expired']

/** Returns a notice as a sentence, after the names of the held condors and legs that it is about. */
export function noticeSentence(notice: Notice, { condors, unmatched }: Pick<Shown, 'condors' | 'unmatched'>): string {
  const concerns = ({ symbol }: { symbol: string }) => notice.symbols.includes(symbol)
  const held = [...[...condors.values()].filter(({ legs }) => legs.some(concerns)), ...[...unmatched.values()].filter(concerns)]
  const names = new Set(held.flatMap((each) => (each.expiration ? `${each.underlying} ${day(each.expiration)}` : [])))
  const isNamed = ENDINGS.includes(notice.code)
  if (!names.size || (isNamed && notice.condorId)) return sentence(notice.text)
  return `${[...names].join(', ')}: ${sentence(isNamed ? notice.text.replace(/^[^:]*: /, '') : notice.text)}`
}

/** Returns the sentence about a time without a connection, once there is one again. */
export function gapSentence({ from, until }: Gap, now: number): string {
  return `Connected again. No data was received from ${clock(from, now)} to ${clock(until, now)}.`
}

/** Returns the account and the feed. */
export function sourceSentence(status: Status): string {
  const sources: Record<Status['source'], string> = {
    'alpaca-paper': 'Alpaca paper account',
    'alpaca-live': 'Alpaca live account',
    simulator: 'simulated account',
  }
  return `${sources[status.source] ?? status.source}, ${status.feed} feed`
}

/** The state of a newer daemon may be unknown here, which counts as bad. */
function toneOf({ state }: Status): Tone {
  return TONES[state] ?? 'bad'
}

function accountSentences({ positions: { error, readAt } }: Status, now: number): string[] {
  if (!error) return []
  const last = readAt ? [`Last read at ${clock(readAt, now)}.`] : []
  return [`The account cannot be read: ${sentence(error.text)}`, ...last]
}

function marketSentence({ market }: Status, now: number): string | null {
  if (market.isOpen === null) return null
  if (market.isOpen) return market.nextClose === null ? 'Market open.' : `Market open until ${clock(market.nextClose, now)}.`
  return market.nextOpen === null ? 'Market closed.' : `Market opens ${clock(market.nextOpen, now)}.`
}

function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(whole) ? whole : `${whole}.`
}
