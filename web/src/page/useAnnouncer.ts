/** The last announcement. It contains the changes since the one before; there is at most one every ten seconds. */
import { shallowRef, watch, type Ref } from 'vue'
import type { Live } from '../live'
import { allAnnounced, announcement, type AnnouncedCondors } from './announcement'

export const PAUSE_MS = 10_000

export function useAnnouncer(live: Live): Readonly<Ref<string>> {
  const text = shallowRef('')
  let before: AnnouncedCondors | null = null
  let announcedAt = live.now.value
  watch(
    live.now,
    (now) => {
      const isRead = live.status.value?.positions.readAt
      if (!isRead || !live.totals.value) return
      // The absolute difference, as a clock that is set back must not silence it.
      if (before && Math.abs(now - announcedAt) < PAUSE_MS) return
      const next = announcement(before ?? allAnnounced(live.condors.value.values()), live.condors.value, live.totals.value)
      before = next.after
      if (!next.text) return
      text.value = next.text
      announcedAt = now
    },
    { immediate: true },
  )
  return text
}
