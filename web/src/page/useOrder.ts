/**
 * The entries of the list, in order and in groups.
 *
 * While pointer or focus is in the list, its order and its members stay as they are, so that nothing moves from under
 * them; what would change is counted. A change of the view is the user's own and applies at once.
 */
import { computed, shallowRef, watch, type Ref } from 'vue'
import type { Live } from '../live'
import { entriesOf, type Mark } from './entries'
import { arranged, orderHash, type Group, type Tools, type View } from './view'

/** How often the list may be sorted by figures. It is shorter than the 5 s that the list may take once it is free. */
export const PAUSE_MS = 3000

/** The changes that sorting again would make. */
export interface Pending {
  arrived: number
  gone: number
  isMoved: boolean
}

export interface Order {
  groups: Readonly<Ref<readonly Group[]>>
  pending: Readonly<Ref<Pending | null>>
  sort: () => void
}

/** Returns the order for `view`; `isHeld` is asked whether pointer or focus is in the list. */
export function useOrder(
  live: Live,
  view: View,
  marks: Readonly<Ref<ReadonlyMap<string, Mark>>>,
  tools: Readonly<Ref<Tools>>,
  isHeld: () => boolean,
): Order {
  const groups = shallowRef<readonly Group[]>([])
  const pending = shallowRef<Pending | null>(null)
  const members = computed(() => [...live.condors.value.keys(), ...live.broken.value.keys()].join())

  const wanted = () => arranged(entriesOf(live), [...live.alerts.value.values()], marks.value, view, tools.value, live.now.value)

  function sort() {
    const next = wanted()
    pending.value = null
    if (textOf(next) !== textOf(groups.value)) groups.value = next
  }

  function look() {
    if (!groups.value.length || !isHeld()) return sort()
    const next = difference(groups.value, wanted())
    if (JSON.stringify(next) !== JSON.stringify(pending.value)) pending.value = next
  }

  watch([() => orderHash(view), tools], sort, { immediate: true })
  watch([members, () => Math.floor(live.now.value / PAUSE_MS)], look, { immediate: true })
  return { groups, pending, sort }
}

/** Returns what is different in `next`; null if nothing is. */
export function difference(shown: readonly Group[], next: readonly Group[]): Pending | null {
  const idsOf = (groups: readonly Group[]) => groups.flatMap(({ ids }) => ids)
  const [had, has] = [new Set(idsOf(shown)), new Set(idsOf(next))]
  const arrived = [...has].filter((id) => !had.has(id)).length
  const gone = [...had].filter((id) => !has.has(id)).length
  const stayed = (ids: Set<string>, others: Set<string>) => [...ids].filter((id) => others.has(id)).join()
  const isMoved = stayed(had, has) !== stayed(has, had)
  return arrived || gone || isMoved ? { arrived, gone, isMoved } : null
}

const textOf = (groups: readonly Group[]) => JSON.stringify(groups)
