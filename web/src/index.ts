/**
 * The daemon's live state for your own app, and what the card computes from it; the card is a separate file,
 * `condord-web/card`.
 */
export { useCondorStream, type StreamOptions } from './useCondorStream'
export { ticketsFrom, type Ticket } from './tickets'
export { usePositions, type PositionsOptions } from './usePositions'
export type { Address } from './address'
export type { Environment } from './environment'
export type { LinkError } from './explain'
export type { Link, Live, LiveConnection, Shown } from './live'
export type * from './document'

export { closingOrder, type ClosingOrderOptions, type ClosingPrice, type OrderToCopy } from './closingOrder'
export { riskCurve, type CurveAt, type CurveModel } from './curve'
export { createFormat, format, type Format, type FormatOptions } from './format'
export { notesOn, type Context, type Look, type Note } from './notes'
export { payoff, type Payoff, type Point } from './payoff'
export { compareUrgency, URGENCIES, urgencyOf, type Urgency } from './urgency'
