/** Short names for the daemon's JSON; api.d.ts is generated from its structs. */
import type { components } from './api'

type Schemas = components['schemas']

export type Account = Schemas['Account']
export type Document = Schemas['Document']
export type Condor = Schemas['Condor']
export type Delta = Schemas['Delta']
export type History = Schemas['History']
export type Leg = Schemas['Leg']
export type Quote = Schemas['Quote']
export type Valuation = Schemas['Valuation']
export type Status = Schemas['Status']
export type Notice = Schemas['Notice']
export type Totals = Schemas['Totals']
export type Unmatched = Schemas['Unmatched']
/** An older daemon sends no `expiry`. */
export type Broken = Schemas['Broken'] & { expiry?: Condor['expiry'] }
export type Risk = Schemas['Risk']
export type Underlying = Schemas['Underlying']
export type Alert = Schemas['Alert']
export type ClosingOrder = Schemas['Closing']

/** An event of the stream, its data parsed. */
export type StreamEvent =
  | { event: 'snapshot'; id: string; data: Document }
  | { event: 'delta'; id: string; data: Delta }
  | { event: 'alert'; data: Alert }
  | { event: 'heartbeat'; data: Schemas['Heartbeat'] }
  | { event: 'bye'; data: Schemas['Bye'] }
