/**
 * The last time without a connection, shown for a minute after it is back. Without a document before it nothing was missed.
 */
import { computed, shallowRef, watch, type Ref } from 'vue'
import { isCut } from '../freshness'
import type { Live } from '../live'

export const SHOWN_MS = 60_000

export interface Gap {
  from: number
  until: number
}

export function useGap(live: Live): Readonly<Ref<Gap | null>> {
  const gap = shallowRef<Gap | null>(null)
  const endedAt = shallowRef(0)
  let hadDocument = false
  watch(live.link, (link, before) => {
    if (isCut(link)) {
      gap.value = null
      hadDocument = live.document.value !== null
    } else if (link.state === 'open' && isCut(before) && hadDocument) {
      gap.value = { from: before.since, until: link.since }
      endedAt.value = live.now.value
    }
  })
  return computed(() => (live.now.value < endedAt.value + SHOWN_MS ? gap.value : null))
}
