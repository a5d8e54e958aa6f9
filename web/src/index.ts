/** The state of the daemon, live, for an app of one's own; the card is a file of its own, `condord-web/card`. */
export { useCondorStream, type StreamOptions } from './useCondorStream'
export { usePositions, type PositionsOptions } from './usePositions'
export type { Environment } from './environment'
export type { Link, Live, Shown } from './live'
export type * from './document'
