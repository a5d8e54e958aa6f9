/** The last announcement: of what has changed since the one before it, which was at least ten seconds earlier. */
import { shallowRef, watch, type Ref } from 'vue'
import type { Live } from '../live'
import { announcement, told, type Told } from './announcement'

export const PAUSE_MS = 10_000

export function useAnnouncer(live: Live): Readonly<Ref<string>> {
  const said = shallowRef('')
  let before: Told | null = null
  let saidAt = live.now.value
  watch(
    live.now,
    (now) => {
      const isRead = live.status.value?.positions.readAt
      if (!isRead || !live.totals.value) return
      // Also a clock that was set back is no reason to be silent.
      if (before && Math.abs(now - saidAt) < PAUSE_MS) return
      const { text, after } = announcement(before ?? told(live.condors.value.values()), live.condors.value, live.totals.value)
      before = after
      if (!text) return
      said.value = text
      saidAt = now
    },
    { immediate: true },
  )
  return said
}
