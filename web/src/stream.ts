/**
 * Applies the events of the stream to the document.
 *
 * A snapshot replaces the document. A delta replaces whole objects by their key and the `closing` orders of condors, and
 * appends the points of its `history` to their condor; broken condors are revalued, and alerts sorted. An event `alert`
 * changes nothing, as the delta before it contains the alert. Nothing is changed in place: what an event does not
 * change stays the same object, so that components can compare by identity.
 */
import { revalued } from './broken'
import type { Alert, Condor, Delta, Document, StreamEvent } from './document'

/** Returns the document after `event`; a delta without a document changes nothing. */
export function apply(document: Document | null, event: StreamEvent): Document | null {
  if (event.event === 'snapshot') return event.data
  if (event.event !== 'delta' || !document) return document
  const { quotes, valuations, unmatched, risks, underlyings, closing, history, alerts, alertsGone, ...rest } = event.data
  const left = replaced(document.unmatched, unmatched)
  return {
    ...document,
    ...rest,
    version: event.id,
    quotes: replaced(document.quotes, quotes),
    unmatched: left,
    broken: revalued(document.broken ?? [], left), // an older daemon has none
    underlyings: replaced(document.underlyings ?? [], underlyings ?? []), // an older daemon has none
    alerts: withAlerts(document.alerts ?? [], alerts, alertsGone), // an older daemon has none
    condors: updated(document.condors, { valuations, risks, closing, history }),
  }
}

/** The newest first, then by id, as in the document. */
function withAlerts(before: Alert[], changed: Alert[] = [], gone: string[] = []): Alert[] {
  if (!changed.length && !gone.length) return before
  const alerts = new Map([...before, ...changed].map((alert) => [alert.id, alert]))
  for (const id of gone) alerts.delete(id)
  // Instants in UTC sort as texts, except that the Z would sort behind the fraction of a second.
  const since = ({ since }: Alert) => since.replace('Z', '')
  const compared = (one: string, other: string) => (one < other ? -1 : Number(one > other))
  return [...alerts.values()].sort((one, other) => compared(since(other), since(one)) || compared(one.id, other.id))
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
