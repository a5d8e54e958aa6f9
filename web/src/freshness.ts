/** Whether what is shown is that of the present: one rule for the page, its header, the table and the cards. */
import type { Status } from './document'
import type { Link } from './live'

/** Whether there is no connection after at least one attempt. */
export const isCut = ({ state }: Link) => state === 'reconnecting' || state === 'refused'

/** Whether all that is shown may differ from the present: without a connection, or without a feed while the market is open. */
export function isOld(link: Link, status: Status | null): boolean {
  return link.state !== 'open' || (status !== null && status.state !== 'live' && status.state !== 'closed')
}
