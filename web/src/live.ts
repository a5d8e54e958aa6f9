/**
 * Holds what is shown: the document in pieces, so that a card is rendered again only when its own pieces change.
 *
 * The maps stay the same objects; their values are those of the document, in its order.
 */
import { computed, shallowReactive, shallowRef, type Ref } from 'vue'
import type { Condor, Document, Quote, Status, Totals, Unmatched } from './document'

/** The connection of this page to the daemon. Times are milliseconds since 1970 by this machine's clock. */
export interface Link {
  state: 'connecting' | 'open' | 'reconnecting'
  /** Open: since when. Otherwise: when the daemon was last heard, or the first attempt. */
  since: number
  /** When it is tried again, where that is known. */
  retryAt: number | null
}

export interface Shown {
  document: Document | null
  status: Status | null
  totals: Totals | null
  condors: ReadonlyMap<string, Condor>
  quotes: ReadonlyMap<string, Quote>
  unmatched: ReadonlyMap<string, Unmatched>
  /** When a condor came that was not there at first, by its id. */
  arrivals: ReadonlyMap<string, number>
  link: Link
  /** The time by the daemon's clock, in milliseconds since 1970; moves every second. */
  now: number
}

/** Everything that is shown, as refs. */
export type Live = { readonly [Key in keyof Shown]: Readonly<Ref<Shown[Key]>> }

/** A `Live`, what fills it, and what tells the time to it. */
export function createLive(since: number) {
  const document = shallowRef<Document | null>(null)
  const condors = shallowReactive(new Map<string, Condor>())
  const quotes = shallowReactive(new Map<string, Quote>())
  const unmatched = shallowReactive(new Map<string, Unmatched>())
  const arrivals = shallowReactive(new Map<string, number>())
  const link = shallowRef<Link>({ state: 'connecting', since, retryAt: null })
  const now = shallowRef(since)

  const live: Live = {
    document,
    status: computed(() => document.value?.status ?? null),
    totals: computed(() => document.value?.totals ?? null),
    condors: shallowRef(condors),
    quotes: shallowRef(quotes),
    unmatched: shallowRef(unmatched),
    arrivals: shallowRef(arrivals),
    link,
    now,
  }

  function show(next: Document) {
    if (next === document.value) return
    // A daemon that has just been started holds nothing until it has read the account: what it finds then is not new.
    if (document.value?.status.positions.readAt) {
      const came = next.condors.filter((condor) => !condors.has(condor.id))
      for (const condor of came) arrivals.set(condor.id, now.value)
    }
    document.value = next
    reconcile(condors, next.condors, (condor) => condor.id)
    reconcile(quotes, next.quotes, (quote) => quote.symbol)
    reconcile(unmatched, next.unmatched, (contract) => contract.symbol)
  }

  return { live, link, now, show }
}

/** Makes `map` hold `items`, in their order, and touches only what is another object than before. */
function reconcile<Item>(map: Map<string, Item>, items: Item[], key: (item: Item) => string) {
  const wanted = items.map(key)
  const wantedSet = new Set(wanted)
  const kept = [...map.keys()].filter((each) => wantedSet.has(each))
  const inOrder = kept.every((each, at) => each === wanted[at])
  for (const each of [...map.keys()]) if (!inOrder || !wantedSet.has(each)) map.delete(each)
  for (const [at, item] of items.entries()) if (map.get(wanted[at]!) !== item) map.set(wanted[at]!, item)
}
