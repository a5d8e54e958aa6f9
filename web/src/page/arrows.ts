/** Arrow keys between cards in a grid. How many columns it has is known only from the layout. */

export type Place = Pick<DOMRect, 'left' | 'top'>

/** Returns the index of the place that `key` moves to from `from`; null if there is none. */
export function neighbour(places: readonly Place[], from: number, key: string): number | null {
  const here = places[from]
  if (!here) return null
  switch (key) {
    case 'ArrowRight':
      return from + 1 < places.length ? from + 1 : null
    case 'ArrowLeft':
      return from > 0 ? from - 1 : null
    case 'ArrowDown':
      return nearest(places, here, (place) => place.top > here.top + 1)
    case 'ArrowUp':
      return nearest(places, here, (place) => place.top < here.top - 1)
    case 'Home':
      return 0
    case 'End':
      return places.length - 1
    default:
      return null
  }
}

/** Returns the place in the next row on that side whose left edge is nearest. */
function nearest(places: readonly Place[], here: Place, isBeyond: (place: Place) => boolean): number | null {
  let best: number | null = null
  places.forEach((place, index) => {
    const found = best === null ? undefined : places[best]
    if (isBeyond(place) && (!found || distance(place, here) < distance(found, here))) best = index
  })
  return best
}

/** Rows weigh more than columns: any card in the next row is nearer than one in the row after it. */
function distance(place: Place, here: Place): number {
  return Math.abs(place.top - here.top) * 1e4 + Math.abs(place.left - here.left)
}

/** Whether a key is for the page itself: nothing is typed, and no panel is open. */
export function isForPage({ target, defaultPrevented, ctrlKey, altKey, metaKey }: KeyboardEvent): boolean {
  if (defaultPrevented || ctrlKey || altKey || metaKey) return false
  return !(target as Element).closest?.('input, select, textarea, [contenteditable], dialog, [popover]')
}
