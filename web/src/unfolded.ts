/** Which panel of each card is open. It is remembered while the page is open, also when a card is removed and comes back. */
import { shallowReactive } from 'vue'

export type Panel = 'legs' | 'order'

const open = shallowReactive(new Map<string, Panel>())

/** Returns the open panel of the condor `id`, if one is open. */
export const panelOf = (id: string): Panel | undefined => open.get(id)

/** Opens `panel`, in place of another, or closes it if it is open. */
export function toggle(id: string, panel: Panel) {
  if (open.get(id) === panel) open.delete(id)
  else open.set(id, panel)
}

/** Closes all panels. */
export const forget = () => open.clear()
