/**
 * The last time in which nothing was heard of the daemon; shown for a minute after it is heard again. Who had nothing
 * before it has missed nothing.
 */
import { computed, shallowRef, watch, type Ref } from 'vue'
import type { Live } from '../live'

export const SHOWN_MS = 60_000

export interface Gap {
  from: number
  until: number
}

export function useGap(live: Live): Readonly<Ref<Gap | null>> {
  const gap = shallowRef<Gap | null>(null)
  const endedAt = shallowRef(0)
  let hadAny = false
  watch(live.link, (link, before) => {
    if (link.state === 'reconnecting') {
      gap.value = null
      hadAny = live.document.value !== null
    } else if (link.state === 'open' && before.state === 'reconnecting' && hadAny) {
      gap.value = { from: before.since, until: link.since }
      endedAt.value = live.now.value
    }
  })
  return computed(() => (live.now.value < endedAt.value + SHOWN_MS ? gap.value : null))
}
