/** Whether what is shown is current: one rule for the page, its header, the table and the cards. */
import type { Status, Underlying } from './document'
import type { Link } from './live'
import { isLost } from './lost'

/** Whether there is no connection after at least one attempt. */
export const isCut = ({ state }: Link) => state === 'reconnecting' || state === 'refused'

/** Whether all that is shown may be out of date: without a connection, or without a feed while the market is open. */
export function isOld(link: Link, status: Status | null): boolean {
  return link.state !== 'open' || (status !== null && status.state !== 'live' && status.state !== 'closed')
}

/** Whether nothing can be asked of the daemon, or of the one that its server follows. */
export const isUnreachable = (link: Link, status: Status | null) => link.state !== 'open' || isLost(status)

/** A price that is shown as the current one. */
export interface CurrentPrice {
  price: number
  /** Whether it may be out of date. */
  isOld: boolean
}

/** Returns the price of an underlying, with `price` instead of its own if that is given; null if none is known. */
export function currentPrice(underlying: Underlying | undefined, link: Link, status: Status | null, price = underlying?.price ?? null): CurrentPrice | null {
  return price === null ? null : { price, isOld: isOld(link, status) || !!(underlying?.unconfirmed || underlying?.reason) }
}
