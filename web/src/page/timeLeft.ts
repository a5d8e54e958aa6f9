/** How long a condor can still be closed. The sentences of alerts stay as they were when they fired. */
import { duration, type Cutoff } from '../countdown'
import { format } from '../format'

/** Returns the time left for orders in words; empty if `cutoffs` has none for them. */
export function timeLeft(cutoffs: readonly Cutoff[]): string {
  const orders = cutoffs.find(({ kind }) => kind === 'orders')
  if (!orders) return ''
  return orders.minutesLeft > 0 ? `${duration(orders.minutesLeft)} left for orders` : `No orders since ${format.minute(orders.at)}`
}
