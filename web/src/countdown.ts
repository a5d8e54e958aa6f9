/** The times until which a condor can be closed, on the last day on which it trades. */
import type { Condor } from './document'

type Known = NonNullable<Condor['expiry']>['cutoffs'][number]

export interface Cutoff {
  /** `orders`: the last time for an order. `liquidation`: from then on the broker may close the position. */
  kind: Known['kind']
  at: string
  /** Where the time comes from: the daemon's configuration or the product's trading hours. */
  source: Known['source']
  /** Zero or less once it has passed. */
  secondsLeft: number
}

let exchangeDay: Intl.DateTimeFormat | undefined
/** Returns the date at the exchange, as 2026-12-18. */
export const exchangeDate = (at: string | number) => (exchangeDay ??= new Intl.DateTimeFormat('en-CA', { timeZone: 'America/New_York', dateStyle: 'short' })).format(new Date(at))
/** Always the same array, so that a card which depends on it is not rendered every second. */
const NONE: Cutoff[] = []

/** What ends: a condor, whole or broken. An older daemon has no expiry. */
type Ending = { expiry?: Condor['expiry'] }

/** Whether `condor` no longer trades: it cannot be closed any more. */
export const isExpired = ({ expiry }: Ending, now: number) => Date.parse(expiry?.lastTradingAt ?? '') <= now

/** Returns the cut-offs of `condor`, the next first, or none before the last trading day and after the last trade. */
export function cutoffs(condor: Ending, now: number): Cutoff[] {
  if (!condor.expiry || isExpired(condor, now) || exchangeDate(condor.expiry.lastTradingAt) !== exchangeDate(now)) return NONE
  return condor.expiry.cutoffs
    .map((cutoff) => ({ ...cutoff, secondsLeft: (Date.parse(cutoff.at) - now) / 1000 }))
    .sort((one, other) => one.secondsLeft - other.secondsLeft)
}
