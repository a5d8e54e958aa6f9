/**
 * Decides what the page says of the connection, the stream and the market.
 *
 * Sentences hold no age and no countdown: they are read aloud when they change, and must not change by the second.
 */
import type { Notice, Status } from '../document'
import { clock, day } from '../format'
import type { Link, Shown } from '../live'
import type { Gap } from './useGap'

/** How things stand, as a word to style by. */
export type Tone = 'good' | 'quiet' | 'bad'

export interface Standing {
  tone: Tone
  headline: string
  /** More sentences, each by itself. */
  details: string[]
}

const HEADLINES: Record<Status['state'], string> = {
  starting: 'Starting',
  live: 'Live',
  closed: 'Market closed',
  stale: 'Prices are old',
  reconnecting: 'Alpaca is away',
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

/**
 * How things stand: this page's link to the daemon first, as nothing else is known while it is cut. Without the token, for
 * which the daemon may ask then, it stays so.
 */
export function standing(link: Link, status: Status | null, now: number, isTokenAsked = false): Standing {
  const since = (at: string | number) => clock(at, now)
  if (link.state === 'reconnecting') {
    const shown = status && `What is shown is from ${since(link.since)}`
    const details = isTokenAsked
      ? [shown && `${shown}.`, 'The daemon asks for its token. Open this page again as …/?token=TOKEN.']
      : [shown ? `${shown}; it goes on by itself.` : 'It is tried again.']
    const headline = `Cut off from condord since ${since(link.since)}`
    return { tone: 'bad', headline, details: details.filter((detail) => detail !== null) }
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

/** Whether prices are old, or the daemon is away: an account that cannot be read makes them neither. */
export function isOld(link: Link, status: Status | null): boolean {
  return link.state === 'reconnecting' || (status !== null && toneOf(status) === 'bad')
}

/** The title of the tab: the sum, and whether its prices are old. */
export function title(link: Link, status: Status | null, total: string): string {
  return status ? `${isOld(link, status) ? '(old) ' : ''}${total} · condord` : 'condord'
}

/** When the next attempt is, as long as that is to come. */
export function retrySentence({ retryAt }: Link, now: number): string | null {
  return retryAt !== null && retryAt > now ? `Next attempt at ${clock(retryAt, now)}.` : null
}

/** A notice with whose it is, as far as its contracts are held. */
export function noticeSentence(notice: Notice, { condors, unmatched }: Pick<Shown, 'condors' | 'unmatched'>): string {
  const isIts = ({ symbol }: { symbol: string }) => notice.symbols.includes(symbol)
  const held = [...[...condors.values()].filter(({ legs }) => legs.some(isIts)), ...[...unmatched.values()].filter(isIts)]
  const names = new Set(held.flatMap((each) => (each.expiration ? `${each.underlying} ${day(each.expiration)}` : [])))
  return `${[...names].join(', ')}${names.size ? ': ' : ''}${sentence(notice.text)}`
}

/** What is said once the page hears the daemon again: from when until when it heard nothing. */
export function gapSentence({ from, until }: Gap, now: number): string {
  return `Connected again. Nothing was heard from ${clock(from, now)} to ${clock(until, now)}.`
}

/** The account and the feed, as far as they are known. */
export function sourceSentence(status: Status): string {
  const sources: Record<Status['source'], string> = {
    'alpaca-paper': 'Alpaca paper account',
    'alpaca-live': 'Alpaca live account',
    simulator: 'simulated account',
  }
  return `${sources[status.source] ?? status.source}, ${status.feed} feed`
}

/** A state that only a newer daemon knows is none to rely on. */
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
