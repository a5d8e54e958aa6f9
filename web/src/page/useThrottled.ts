/**
 * The same data for cards that are out of sight, with condors and quotes updated once a second.
 *
 * With it a hundred condors cost as much as the few on the screen. The connection and the status are updated at once.
 */
import { shallowRef, watch } from 'vue'
import type { Condor, Quote } from '../document'
import type { Live } from '../live'

export function useThrottled(live: Live): Live {
  const condors = shallowRef<ReadonlyMap<string, Condor>>(new Map())
  const quotes = shallowRef<ReadonlyMap<string, Quote>>(new Map())
  watch(
    [() => live.now.value, () => live.condors.value.size],
    () => {
      condors.value = new Map(live.condors.value)
      quotes.value = new Map(live.quotes.value)
    },
    { immediate: true },
  )
  return { ...live, condors, quotes }
}
