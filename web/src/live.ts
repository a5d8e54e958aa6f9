/**
 * The document in pieces, so that a card is rendered again only when its own pieces change.
 *
 * The maps stay the same objects; their values are those of the document, in its order.
 */
import { computed, shallowReactive, shallowRef, type Ref } from 'vue'
import type { LinkError } from './explain'
import { unconfirmedIfLost } from './lost'
import type { Account, Alert, Broken, Condor, Document, Quote, Status, Totals, Underlying, Unmatched } from './document'

/**
 * The connection of this page to the daemon. Times are milliseconds since 1970 by this machine's clock. `refused` means
 * that the token is missing or wrong; that is retried too, but less often. `closed` means that `close` was called.
 */
export interface Link {
  state: 'connecting' | 'open' | 'reconnecting' | 'refused' | 'closed'
  /** If open, since when; otherwise the time of the last event, or of the first attempt. */
  since: number
  /** The time of the next attempt, if it is known. */
  retryAt: number | null
  /** What is wrong and what to do about it, once it is known; never if open. */
  error?: LinkError | undefined
}

export interface Shown {
  document: Document | null
  status: Status | null
  totals: Totals | null
  account: Account | null
  condors: ReadonlyMap<string, Condor>
  quotes: ReadonlyMap<string, Quote>
  unmatched: ReadonlyMap<string, Unmatched>
  /** Condors that lost legs, by id. */
  broken: ReadonlyMap<string, Broken>
  underlyings: ReadonlyMap<string, Underlying>
  /** The alerts that fire or ended today, by id, the newest first. */
  alerts: ReadonlyMap<string, Alert>
  /** When each condor that was not in the first document appeared, by id. */
  arrivals: ReadonlyMap<string, number>
  link: Link
  /** The time by the daemon's clock, in milliseconds since 1970; moves every second. */
  now: number
}

/** Everything that is shown, as refs. */
export type Live = { readonly [Key in keyof Shown]: Readonly<Ref<Shown[Key]>> }

/**
 * A `Live` with its connection, with the names of VueUse's `useEventSource`; only its `status` is `readyState` here, as
 * `status` is the daemon's.
 */
export interface LiveConnection extends Live {
  /** The state of the connection; while it waits for an address or for the next attempt, it is `CONNECTING`. */
  readonly readyState: Readonly<Ref<'CONNECTING' | 'OPEN' | 'CLOSED'>>
  /** Why there is no connection, and what to do; null while there is one, or before it is known. */
  readonly error: Readonly<Ref<LinkError | null>>
  /** Opens the connection again after `close`; otherwise tries again at once if it waits for the next attempt. */
  open(): void
  /** Closes the connection for this caller; the last values stay. */
  close(): void
}

/** Returns a `Live`, the refs of its link and its time, and a function that shows a document in it. */
export function createLive(since: number) {
  const document = shallowRef<Document | null>(null)
  const condors = shallowReactive(new Map<string, Condor>())
  const quotes = shallowReactive(new Map<string, Quote>())
  const unmatched = shallowReactive(new Map<string, Unmatched>())
  const broken = shallowReactive(new Map<string, Broken>())
  const underlyings = shallowReactive(new Map<string, Underlying>())
  const alerts = shallowReactive(new Map<string, Alert>())
  const arrivals = shallowReactive(new Map<string, number>())
  const link = shallowRef<Link>({ state: 'connecting', since, retryAt: null })
  const now = shallowRef(since)

  const live: Live = {
    document,
    status: computed(() => document.value?.status ?? null),
    totals: computed(() => document.value?.totals ?? null),
    account: computed(() => document.value?.account ?? null),
    condors: shallowRef(condors),
    quotes: shallowRef(quotes),
    unmatched: shallowRef(unmatched),
    broken: shallowRef(broken),
    underlyings: shallowRef(underlyings),
    alerts: shallowRef(alerts),
    arrivals: shallowRef(arrivals),
    link,
    now,
  }

  let received: Document | null = null

  function show(arrived: Document) {
    if (arrived === received) return
    received = arrived
    const next = unconfirmedIfLost(arrived)
    // A daemon that has just been started has no condors until it has read the account. The ones it then reads are not new.
    if (document.value?.status.positions.readAt) {
      for (const { id } of next.condors) if (!condors.has(id)) arrivals.set(id, now.value)
    }
    document.value = next
    reconcile(condors, next.condors, (condor) => condor.id)
    reconcile(quotes, next.quotes, (quote) => quote.symbol)
    reconcile(unmatched, next.unmatched, (contract) => contract.symbol)
    // An older daemon has none of these.
    reconcile(broken, next.broken ?? [], (condor) => condor.id)
    reconcile(underlyings, next.underlyings ?? [], (underlying) => underlying.symbol)
    reconcile(alerts, next.alerts ?? [], (alert) => alert.id)
  }

  return { live, link, now, show }
}

/** Makes `map` hold `items` in their order, and sets only those whose object has changed. */
function reconcile<Item>(map: Map<string, Item>, items: Item[], key: (item: Item) => string) {
  const wanted = items.map(key)
  const wantedSet = new Set(wanted)
  const kept = [...map.keys()].filter((key) => wantedSet.has(key))
  const inOrder = kept.every((key, at) => key === wanted[at])
  for (const key of map.keys()) if (!inOrder || !wantedSet.has(key)) map.delete(key)
  for (const [at, item] of items.entries()) if (map.get(wanted[at]!) !== item) map.set(wanted[at]!, item)
}
