/** Tells elements of a list when they come into sight and when they leave it. */
import { onUnmounted } from 'vue'

/** Entries just out of sight are kept as current as those in sight, so that scrolling shows no old figures. */
const MARGIN = '64px'

/** Calls back with whether `element` is in sight, now and at each change. */
export type WatchSight = (element: Element, report: (isSeen: boolean) => void) => void

/** Returns a function that watches elements until the calling component is gone. */
export function useSight(): WatchSight {
  const reports = new WeakMap<Element, (isSeen: boolean) => void>()
  if (typeof IntersectionObserver === 'undefined') return () => {}
  const sight = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) reports.get(target)?.(isIntersecting)
    },
    { rootMargin: MARGIN },
  )
  onUnmounted(() => sight.disconnect())
  return (element, report) => {
    reports.set(element, report)
    sight.observe(element)
  }
}
