/** Marks every price of a document as unconfirmed while a relay has lost its source. */
import type { Document } from './document'

/** Returns `document` as it is to be shown. */
export function trusted(document: Document): Document {
  if (document.status.code !== 'sourceLost') return document
  const doubt = <Item extends object>(item: Item) => ({ ...item, unconfirmed: true })
  return {
    ...document,
    condors: document.condors.map((condor) => ({ ...condor, valuation: doubt(condor.valuation) })),
    quotes: document.quotes.map(doubt),
    underlyings: document.underlyings?.map(doubt), // an older daemon has none
  }
}
