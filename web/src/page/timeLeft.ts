/** How long a condor can still be closed. The sentences of alerts stay as they were when they fired. */
import { cutoffs, isExpired, type Cutoff } from '../countdown'
import { duration } from '../duration'
import { format } from '../format'
import type { Entry } from './entries'

/** Returns the time left for orders in words; empty if `cutoffs` has none for them. */
export function timeLeft(cutoffs: readonly Cutoff[]): string {
  const orders = cutoffs.find(({ kind }) => kind === 'orders')
  if (!orders) return ''
  return orders.secondsLeft > 0 ? `${duration(orders.secondsLeft)} left for orders` : `No orders since ${format.minute(orders.at)}`
}

/**
 * Returns how long `entry` can still be closed, on the last day on which it trades; else null. That is the time left for orders,
 * then `no orders`, and `expired` after the last trade. The terminal has the same words, see condord/cli/last_day.py.
 */
export function lastDayLeft(entry: Entry, now: number): string | null {
  if (isExpired(entry, now)) return 'expired'
  const orders = cutoffs(entry, now).find(({ kind }) => kind === 'orders')
  if (!orders) return null
  if (orders.secondsLeft <= 0) return 'no orders'
  return orders.secondsLeft < 60 ? '<1\u00a0min' : duration(orders.secondsLeft)
}
