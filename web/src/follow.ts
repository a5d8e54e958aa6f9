/** Follows an address that may change: what is behind the old one is closed, and what is shown starts empty. */
import { computed, onScopeDispose, shallowRef, toValue, watch, type MaybeRefOrGetter } from 'vue'
import { addressOf } from './address'
import type { Environment } from './environment'
import { createLive, type Live, type Shown } from './live'

export interface Followed {
  live: Live
  close(): void
}

/** What `open` makes of the address, until the calling scope ends; without a browser, as in SSR, nothing. */
export function follow(
  url: MaybeRefOrGetter<string>,
  open: (address: string) => Followed,
  environment: Environment,
): Live {
  const { live: nothing } = createLive(environment.now())
  if (typeof document === 'undefined') return nothing
  const current = shallowRef<Followed>()

  function change(given: string) {
    const before = current.value
    const address = addressOf(given)
    current.value = address === null ? undefined : open(address)
    before?.close()
    if (address === null) throw new TypeError(`condord-web: ${JSON.stringify(given)} is no address of http or https`)
  }

  change(toValue(url))
  watch(() => toValue(url), change, { flush: 'sync' })
  onScopeDispose(() => current.value?.close())

  const pick = <Key extends keyof Shown>(key: Key) => computed<Shown[Key]>(() => (current.value?.live ?? nothing)[key].value)
  return {
    document: pick('document'),
    status: pick('status'),
    totals: pick('totals'),
    condors: pick('condors'),
    quotes: pick('quotes'),
    unmatched: pick('unmatched'),
    arrivals: pick('arrivals'),
    link: pick('link'),
    now: pick('now'),
  }
}
