/**
 * The same data for cards that are out of sight, where what ticks is taken over once a second.
 *
 * With it a hundred condors cost what the few on the screen do. The connection and the status are told at once.
 */
import { shallowRef, watch } from 'vue'
import type { Condor, Quote } from '../document'
import type { Live } from '../live'

export function useCalm(live: Live): Live {
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
