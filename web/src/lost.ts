/** Marks every price of a document as unconfirmed while its server cannot follow another one. */
import type { Document } from './document'

const LOST_CODES: readonly (string | null)[] = ['sourceLost', 'busLost', 'leaderLost']

/** Returns `document` as it is to be shown. */
export function trusted(document: Document): Document {
  if (!LOST_CODES.includes(document.status.code)) return document
  const doubt = <Item extends object>(item: Item) => ({ ...item, unconfirmed: true })
  return {
    ...document,
    condors: document.condors.map((condor) => ({ ...condor, valuation: doubt(condor.valuation) })),
    quotes: document.quotes.map(doubt),
    underlyings: document.underlyings?.map(doubt), // an older daemon has none
  }
}
