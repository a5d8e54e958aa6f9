/** Follows an address that can change: the old source is closed, and the refs start empty. */
import { computed, onScopeDispose, shallowRef, toValue, watch, type MaybeRefOrGetter } from 'vue'
import { addressOf, type Address } from './address'
import type { Connection } from './connection'
import type { Environment } from './environment'
import { createLive, type Link, type Live, type LiveConnection, type Shown } from './live'

export interface Followed extends Connection {
  live: Live
}

/**
 * Returns the refs of what `start` returns for the address, until the calling scope ends. Without an address, or without a
 * browser (SSR), they stay empty.
 */
export function follow(
  url: MaybeRefOrGetter<Address>,
  start: (address: string) => Followed,
  environment: Environment,
): LiveConnection {
  const { live: empty } = createLive(environment.now())
  const current = shallowRef<Followed>()
  /** Set by `close`, and shown as the link of a source that others may still use. */
  const closed = shallowRef<Link | null>(null)
  const hasBrowser = typeof document !== 'undefined'
  let isOver = false

  function change(given: Address) {
    const before = current.value
    const address = given == null ? null : addressOf(given)
    current.value = address === null ? undefined : start(address)
    before?.close()
    if (given != null && address === null) {
      throw new TypeError(`condord-web: ${JSON.stringify(String(given))} is not an http or https address`)
    }
  }

  function open() {
    if (!closed.value) return current.value?.retry()
    if (isOver) return
    closed.value = null
    current.value = undefined
    change(toValue(url))
  }

  function close() {
    if (closed.value || !hasBrowser) return
    closed.value = { state: 'closed', since: link.value.since, retryAt: null }
    current.value?.close()
  }

  const pick = <Key extends keyof Shown>(key: Key) => computed<Shown[Key]>(() => (current.value?.live ?? empty)[key].value)
  const link = computed(() => closed.value ?? (current.value?.live ?? empty).link.value)

  if (hasBrowser) {
    change(toValue(url))
    watch(() => toValue(url), (given) => !closed.value && change(given), { flush: 'sync' })
    onScopeDispose(() => {
      close()
      isOver = true
    })
  }

  return {
    document: pick('document'),
    status: pick('status'),
    totals: pick('totals'),
    account: pick('account'),
    condors: pick('condors'),
    quotes: pick('quotes'),
    unmatched: pick('unmatched'),
    broken: pick('broken'),
    underlyings: pick('underlyings'),
    alerts: pick('alerts'),
    arrivals: pick('arrivals'),
    link,
    now: pick('now'),
    readyState: computed(() => (link.value.state === 'open' ? 'OPEN' : link.value.state === 'closed' ? 'CLOSED' : 'CONNECTING')),
    error: computed(() => link.value.error ?? null),
    open,
    close,
  }
}
