/** What follows for what is shown while its server cannot follow another one. */
import type { Document, Status } from './document'

/** Whether the server cannot follow the other one that it needs. */
export const isLost = (status: Status | null) => ['sourceLost', 'busLost', 'leaderLost'].includes(status?.code ?? '')

/** Returns `document` as it is to be shown: with each price unconfirmed. */
export function trusted(document: Document): Document {
  if (!isLost(document.status)) return document
  const doubt = <Item extends object>(item: Item) => ({ ...item, unconfirmed: true })
  return {
    ...document,
    condors: document.condors.map((condor) => ({ ...condor, valuation: doubt(condor.valuation) })),
    quotes: document.quotes.map(doubt),
    underlyings: document.underlyings?.map(doubt), // an older daemon has none
  }
}
