/** Uses the built package through the exports of package.json; `npm run pack:check` checks the types. */
import IronCondorCard from 'condord-web/card'
import 'condord-web/card.css'
import { IronCondorCardElement } from 'condord-web/element'
import { closingOrder, notesOn, payoff, riskCurve, type Context, type CurveAt, type Note, type OrderToCopy, type Payoff } from 'condord-web/analysis'
import {
  compareUrgency,
  createFormat,
  format,
  ticketsFrom,
  URGENCIES,
  urgencyOf,
  useCondorStream,
  usePositions,
  type Address,
  type Condor,
  type Environment,
  type Format,
  type Link,
  type LinkError,
  type Live,
  type LiveConnection,
  type Ticket,
  type Urgency,
} from 'condord-web'
import { h, ref, unref } from 'vue'

const ticket: Ticket = ticketsFrom('/api/tickets', () => localStorage.getItem('token'))
const live: LiveConnection = useCondorStream(() => '/api/stream', { share: true, ticket })
export const own: Live = useCondorStream('/api/stream', { ticket: async () => (await fetch('/my/ticket')).text() })
export const later: LiveConnection = useCondorStream(ref<Address>(null))
export const byUrl: Live = usePositions(new URL('http://127.0.0.1:8420/api/positions'))
export const state3: 'CONNECTING' | 'OPEN' | 'CLOSED' = live.readyState.value
export const error: LinkError | null = live.error.value
live.close()
live.open()
const polled: LiveConnection = usePositions('/api/positions', { seconds: 5, headers: { Authorization: 'Bearer x' } })
export const condors: Condor[] = [...live.condors.value.values()]
export const state: Link['state'] = polled.link.value.state
export const card = h(IronCondorCard, { live, id: 'SPY-261218-705-715-770-780' })
export const element: IronCondorCardElement = document.createElement('iron-condor-card')
element.condorId = 'SPY-261218-705-715-770-780'
element.ticket = ticket
element.density = 'compact'
element.headingLevel = 3
element.timeZone = null
document.querySelector('iron-condor-card')!.locale = 'de-DE'

const [condor] = condors as [Condor]
const at: CurveAt = { prices: [560, 570], exDividend: null }
export const curve: (number | null)[] = riskCurve(condor, live.status.value!.model, at)
export const shape: Payoff | null = payoff(condor)
export const order: OrderToCopy | null = closingOrder(condor, { price: 'natural' })
export const urgency: Urgency = urgencyOf(condor, live.alerts.value.values())
export const sorted: Condor[] = condors.toSorted(compareUrgency(live.alerts.value.values()))
export const most: 'critical' = URGENCIES[0]
const context: Context = {
  status: unref(live.status),
  link: unref(live.link),
  quotes: unref(live.quotes),
  arrivals: unref(live.arrivals),
  now: unref(live.now),
}
export const notes: Note[] = notesOn(condor, context)
const berlin: Format = createFormat({ locale: 'de-DE', timeZone: 'Europe/Berlin' })
export const texts: string[] = [format.usd(null), berlin.signedUsd(-511, { cents: false }), berlin.clock(0, Date.now())]

// @ts-expect-error It is an address.
useCondorStream(8420)
// @ts-expect-error There is no such option.
useCondorStream('/api/stream', { shared: true })
// @ts-expect-error A ticket is fetched for each connection.
useCondorStream('/api/stream', { ticket: 'T' })
// @ts-expect-error Seconds are a number.
usePositions('/api/positions', { seconds: '5' })
// @ts-expect-error There is no such ref.
export const none = live.condor
// @ts-expect-error What is not known is null.
export const pl: number = condors[0]!.valuation.unrealizedPl
// @ts-expect-error There is no such state.
export const other: Link['state'] = 'OPEN'
// @ts-expect-error The daemon's status has the name that VueUse gives to the state of the connection.
export const status: 'OPEN' = live.status.value
// @ts-expect-error There is no such price.
closingOrder(condor, { price: 'last' })
// @ts-expect-error There is no such density.
element.density = 'wide'
// @ts-expect-error The card wants an id.
export const nameless = h(IronCondorCard, { live })
// @ts-expect-error An environment has more than a clock.
export const environment: Environment = { now: Date.now }
// @ts-expect-error Shared or not.
element.share = 'yes'
