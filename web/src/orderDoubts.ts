/** Warnings about the order that closes a condor, to read before it is sent. */
import type { Closable } from './closingOrder'
import type { Quote } from './document'
import type { Format } from './format'
import { legName } from './naming'
import { STATE_WORDS } from './quoteWords'
import { isOneSide, workingOrder } from './working'

/** The states of quotes at whose bid or ask no order can be expected to fill. */
const UNUSABLE = ['none', 'noAsk', 'crossed', 'stub']

/** Returns the legs whose quotes make no natural price, each with the reason: `755 put: bid 0.05, ask 60.00`. */
export function unusableQuotes({ legs }: Closable, quotes: ReadonlyMap<string, Quote>, { price }: Format): string[] {
  return legs.flatMap((leg) => {
    const { state = 'none', bid, ask } = quotes.get(leg.symbol) ?? {}
    // Without an ask the quote has 0, which is not a price.
    const why = bid != null && ask ? `bid ${price(bid)}, ask ${price(ask)}` : STATE_WORDS[state]
    return UNUSABLE.includes(state) ? `${legName(leg)}: ${why}` : []
  })
}

/** Returns a sentence if `limit`, per share, is more than the condor can be worth at expiration, with all legs held; else null. */
export function aboveWidth({ direction, putWidth, callWidth }: Closable, limit: number, { price }: Format): string | null {
  const isShort = direction === 'short'
  const width = Math.max(putWidth, callWidth)
  if ((isShort ? limit : -limit) <= width) return null
  return `The limit is above the width of ${price(width)}, the most it ${isShort ? 'costs' : 'brings'} at expiration with all legs held.`
}

/** Returns a sentence on each working order that already closes the condor or a part of it. */
export function alreadyClosing(condor: Closable, format: Format): string[] {
  // An older daemon sends no closing orders.
  return (condor.closing ?? []).map((order) => {
    const isPart = order.quantity < condor.quantity || isOneSide(order, condor)
    return `${workingOrder(order, condor, format)} already closes ${isPart ? 'part of ' : ''}it: replace or cancel that order.`
  })
}
