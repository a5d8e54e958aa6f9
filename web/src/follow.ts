/** Follows an address that can change: the old source is closed, and the refs start empty. */
import { computed, onScopeDispose, shallowRef, toValue, watch, type MaybeRefOrGetter } from 'vue'
import { addressOf } from './address'
import type { Environment } from './environment'
import { createLive, type Live, type Shown } from './live'

export interface Followed {
  live: Live
  close(): void
}

/** Returns the refs of what `open` returns for the address, until the calling scope ends; without a browser (SSR) they stay empty. */
export function follow(
  url: MaybeRefOrGetter<string>,
  open: (address: string) => Followed,
  environment: Environment,
): Live {
  const { live: empty } = createLive(environment.now())
  if (typeof document === 'undefined') return empty
  const current = shallowRef<Followed>()

  function change(given: string) {
    const before = current.value
    const address = addressOf(given)
    current.value = address === null ? undefined : open(address)
    before?.close()
    if (address === null) throw new TypeError(`condord-web: ${JSON.stringify(given)} is not an http or https address`)
  }

  change(toValue(url))
  watch(() => toValue(url), change, { flush: 'sync' })
  onScopeDispose(() => current.value?.close())

  const pick = <Key extends keyof Shown>(key: Key) => computed<Shown[Key]>(() => (current.value?.live ?? empty)[key].value)
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
    link: pick('link'),
    now: pick('now'),
  }
}
