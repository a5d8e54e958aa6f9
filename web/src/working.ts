/** The working orders that close a condor, in words. */
import type { Closable } from './closingOrder'
import type { ClosingOrder } from './document'
import type { Format } from './format'

/** Whether `order` closes only the puts or only the calls of `condor`. */
export const isOneSide = ({ limitPrice, percentOfMaxProfit }: ClosingOrder, { maxProfit }: Pick<Closable, 'maxProfit'>) =>
  limitPrice !== null && percentOfMaxProfit === null && (maxProfit ?? 0) > 0

/** Returns `Buy 1 at 1.60`, without the quantity if it is all of `condor`. */
export function workingOrder(order: ClosingOrder, condor: Closable, { price }: Format): string {
  const { limitPrice, quantity } = order
  const isBuy = limitPrice === null ? condor.direction === 'short' : limitPrice > 0
  const what = [isBuy ? 'Buy' : 'Sell', quantity < condor.quantity && quantity, isOneSide(order, condor) && 'one side']
  return `${what.filter(Boolean).join(' ')} at ${limitPrice === null ? 'market' : price(Math.abs(limitPrice))}`
}
