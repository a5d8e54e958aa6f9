/**
 * Decides how the events of the stream become the document again.
 *
 * A snapshot replaces the document; a delta replaces its parts, whole, by their key. Nothing is changed in place: what
 * an event leaves alone is the same object afterwards, so that whoever shows it can see that at once.
 */
import type { Document, StreamEvent } from './document'

/** The document after `event`; a delta without a document to apply it to changes nothing. */
export function apply(document: Document | null, event: StreamEvent): Document | null {
  if (event.event === 'snapshot') return event.data
  if (event.event !== 'delta' || !document) return document
  const { quotes, valuations, unmatched, ...rest } = event.data
  const values = new Map(valuations.map((valuation) => [valuation.id, valuation]))
  return {
    ...document,
    ...rest,
    version: event.id,
    quotes: replaced(document.quotes, quotes),
    unmatched: replaced(document.unmatched, unmatched),
    condors: values.size
      ? document.condors.map((condor) => {
          const valuation = values.get(condor.id)
          return valuation ? { ...condor, valuation } : condor
        })
      : document.condors,
  }
}

function replaced<Item extends { symbol: string }>(items: Item[], changed: Item[]): Item[] {
  if (!changed.length) return items
  const left = new Map(changed.map((item) => [item.symbol, item]))
  const kept = items.map((item) => {
    const next = left.get(item.symbol)
    left.delete(item.symbol)
    return next ?? item
  })
  return [...kept, ...left.values()]
}
