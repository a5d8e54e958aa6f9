/**
 * The ids of the cards in their order.
 *
 * It is found anew when the view or what is held changes, and else every few seconds only: cards that are sorted by what
 * ticks would else jump under the eye. Nothing depends on it while it stays the same.
 */
import { computed, shallowRef, watch, type Ref } from 'vue'
import type { Live } from '../live'
import { arranged, toHash, type View } from './view'

export const PAUSE_MS = 5000

export function useOrder(live: Live, view: View): Readonly<Ref<readonly string[]>> {
  const order = shallowRef<readonly string[]>([])
  const held = computed(() => [...live.condors.value.keys()].join())
  watch(
    [held, () => toHash(view), () => Math.floor(live.now.value / PAUSE_MS)],
    () => {
      const next = arranged(live.condors.value.values(), live.quotes.value, view)
      if (next.join() !== order.value.join()) order.value = next
    },
    { immediate: true },
  )
  return order
}
