/** Whether what is shown is that of the present: one rule for the page, its header, the table and the cards. */
import type { Status, Underlying } from './document'
import type { Link } from './live'
import { isLost } from './lost'

/** Whether there is no connection after at least one attempt. */
export const isCut = ({ state }: Link) => state === 'reconnecting' || state === 'refused'

/** Whether all that is shown may differ from the present: without a connection, or without a feed while the market is open. */
export function isOld(link: Link, status: Status | null): boolean {
  return link.state !== 'open' || (status !== null && status.state !== 'live' && status.state !== 'closed')
}

/** Whether nothing can be asked of the daemon, or of the one that its server follows. */
export const isUnreachable = (link: Link, status: Status | null) => link.state !== 'open' || isLost(status)

/** A price that is shown as that of the present. */
export interface Present {
  price: number
  /** Whether it may differ from the present one. */
  isOld: boolean
}

/** Returns the price of an underlying, with `price` instead of its own if that is given; null if none is known. */
export function presentOf(underlying: Underlying | undefined, link: Link, status: Status | null, price = underlying?.price ?? null): Present | null {
  return price === null ? null : { price, isOld: isOld(link, status) || !!(underlying?.unconfirmed || underlying?.reason) }
}
