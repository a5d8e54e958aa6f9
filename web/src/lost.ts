/** The document as it is shown while the server that sent it cannot follow its source. */
import type { Document, Status } from './document'

/** Whether the server cannot follow the other one that it needs. */
export const isLost = (status: Status | null) => ['sourceLost', 'busLost', 'leaderLost'].includes(status?.code ?? '')

/** Returns `document`, with each price unconfirmed if the server cannot follow the one that it needs. */
export function unconfirmedIfLost(document: Document): Document {
  if (!isLost(document.status)) return document
  const doubt = <Item extends object>(item: Item) => ({ ...item, unconfirmed: true })
  return {
    ...document,
    condors: document.condors.map((condor) => ({ ...condor, valuation: doubt(condor.valuation) })),
    quotes: document.quotes.map(doubt),
    underlyings: document.underlyings?.map(doubt), // an older daemon has none
  }
}
