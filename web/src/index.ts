/** The daemon's live state for your own app; the card is a separate file, `condord-web/card`. */
export { useCondorStream, type StreamOptions } from './useCondorStream'
export { ticketsFrom, type Ticket } from './tickets'
export { usePositions, type PositionsOptions } from './usePositions'
export type { Environment } from './environment'
export type { Link, Live, Shown } from './live'
export type * from './document'
