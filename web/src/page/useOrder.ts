/**
 * The ids of the cards in their order.
 *
 * They are sorted again when the view or the set of condors changes, and otherwise only every few seconds, so that cards
 * sorted by prices do not jump while they are read. The ref changes only if the order does.
 */
import { computed, shallowRef, watch, type Ref } from 'vue'
import type { Live } from '../live'
import { arranged, toHash, type View } from './view'

/** How often the cards may be sorted by prices. */
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
