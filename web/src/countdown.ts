/** The times until which a condor can be closed, on the last day on which it trades. */
import type { Condor } from './document'

type Known = NonNullable<Condor['expiry']>['cutoffs'][number]

export interface Cutoff {
  /** `orders`: the last time for an order. `liquidation`: from then on the broker may close the position. */
  kind: Known['kind']
  at: string
  /** Where the time comes from: the daemon's configuration or the product's trading hours. */
  source: Known['source']
  /** Whole minutes, rounded up; zero or less once it has passed. */
  minutesLeft: number
}

let exchangeDay: Intl.DateTimeFormat | undefined
const MINUTE_MS = 60_000
/** Returns the date at the exchange, as 2026-12-18. */
export const exchangeDate = (at: string | number) => (exchangeDay ??= new Intl.DateTimeFormat('en-CA', { timeZone: 'America/New_York', dateStyle: 'short' })).format(new Date(at))
/** Always the same, so that a card which depends on it is not rendered every second. */
const NONE: Cutoff[] = []

/** Returns the cut-offs of `condor`, the next first, or none before the last trading day. */
export function cutoffs(condor: Condor, now: number): Cutoff[] {
  // An older daemon has no expiry.
  if (!condor.expiry || exchangeDate(condor.expiry.lastTradingAt) !== exchangeDate(now)) return NONE
  return condor.expiry.cutoffs
    .map(({ kind, at, source }) => ({ kind, at, source, minutesLeft: Math.ceil((Date.parse(at) - now) / MINUTE_MS) }))
    .sort((one, other) => one.minutesLeft - other.minutesLeft)
}

/** Formats minutes as 7 h 14 min. */
export function duration(minutes: number): string {
  const hours = Math.floor(minutes / 60)
  return [hours ? `${hours}\u00a0h` : '', minutes % 60 || !hours ? `${minutes % 60}\u00a0min` : ''].filter(Boolean).join(' ')
}
