/**
 * The daemon's live state for your own app, and functions that format and sort it. What the card computes from a condor is
 * in a separate file, `condord-web/analysis`, and so is the card, `condord-web/card`.
 */
export { useCondorStream, type StreamOptions } from './useCondorStream'
export { ticketsFrom, type Ticket } from './tickets'
export { usePositions, type PositionsOptions } from './usePositions'
export type { Address } from './address'
export type { Environment } from './environment'
export type { LinkError } from './explain'
export type { Link, Live, LiveConnection, Shown } from './live'
export type * from './document'

export { createFormat, format, type Format, type FormatOptions } from './format'
export { compareUrgency, URGENCIES, urgencyOf, type Urgency } from './urgency'
