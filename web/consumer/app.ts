/** Uses the built package through the exports of package.json; `npm run pack:check` checks the types. */
import IronCondorCard from 'condord-web/card'
import 'condord-web/card.css'
import { IronCondorCardElement } from 'condord-web/element'
import { ticketsFrom, useCondorStream, usePositions, type Condor, type Environment, type Link, type Live, type Ticket } from 'condord-web'
import { h } from 'vue'

const ticket: Ticket = ticketsFrom('/api/tickets', () => localStorage.getItem('token'))
const live: Live = useCondorStream(() => '/api/stream', { share: true, ticket })
export const own: Live = useCondorStream('/api/stream', { ticket: async () => (await fetch('/my/ticket')).text() })
const polled: Live = usePositions('/api/positions', { seconds: 5, headers: { Authorization: 'Bearer x' } })
export const condors: Condor[] = [...live.condors.value.values()]
export const state: Link['state'] = polled.link.value.state
export const card = h(IronCondorCard, { live, id: 'SPY-261218-705-715-770-780' })
export const element: IronCondorCardElement = document.createElement('iron-condor-card')
element.condorId = 'SPY-261218-705-715-770-780'
element.ticket = ticket

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
export const other: Link['state'] = 'closed'
// @ts-expect-error The card wants an id.
export const nameless = h(IronCondorCard, { live })
// @ts-expect-error An environment has more than a clock.
export const environment: Environment = { now: Date.now }
// @ts-expect-error Shared or not.
element.share = 'yes'
