/**
 * Applies the events of the stream to the document.
 *
 * A snapshot replaces the document. A delta replaces whole objects by their key and the `closing` orders of condors, and
 * appends the points of its `history` to their condor; broken condors are revalued. Nothing is changed in place: what an event does not change stays the same
 * object, so that components can compare by identity.
 */
import { revalued } from './broken'
import type { Condor, Delta, Document, StreamEvent } from './document'

/** Returns the document after `event`; a delta without a document changes nothing. */
export function apply(document: Document | null, event: StreamEvent): Document | null {
  if (event.event === 'snapshot') return event.data
  if (event.event !== 'delta' || !document) return document
  const { quotes, valuations, unmatched, risks, underlyings, closing, history, ...rest } = event.data
  const left = replaced(document.unmatched, unmatched)
  return {
    ...document,
    ...rest,
    version: event.id,
    quotes: replaced(document.quotes, quotes),
    unmatched: left,
    broken: revalued(document.broken ?? [], left), // an older daemon has none
    underlyings: replaced(document.underlyings ?? [], underlyings ?? []), // an older daemon has none
    condors: updated(document.condors, { valuations, risks, closing, history }),
  }
}

type Changed = { [Part in 'valuations' | 'risks' | 'closing' | 'history']: Delta[Part] | undefined }

function updated(condors: Condor[], { valuations = [], risks = [], closing = [], history = [] }: Changed): Condor[] {
  if (!valuations.length && !risks.length && !closing.length && !history.length) return condors
  const parts = new Map<string, Partial<Condor>>()
  const add = (id: string, part: Partial<Condor>) => parts.set(id, { ...parts.get(id), ...part })
  for (const valuation of valuations) add(valuation.id, { valuation })
  for (const risk of risks) add(risk.id, { risk })
  for (const { id, orders } of closing) add(id, { closing: orders })
  const newPoints = new Map(history.map((points) => [points.id, points]))
  return condors.map((condor) => {
    const part = parts.get(condor.id)
    const points = newPoints.get(condor.id)
    if (!part && !points) return condor
    const next = { ...condor, ...part }
    if (points) {
      const { seconds, cents } = condor.history
      next.history = { seconds: [...seconds, ...points.seconds], cents: [...cents, ...points.cents] }
    }
    return next
  })
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
