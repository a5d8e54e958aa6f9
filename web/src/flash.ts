/**
 * `v-flash="value"`: a short light behind a number that has changed.
 *
 * It goes on and off: fading would have the browser paint sixty times a second, which costs more than all else here. How
 * it looks, and that it is not seen by who wants no motion, is a matter of style.
 */
import type { Directive } from 'vue'

type Value = number | null | undefined

const FLASH_MS = 400

export const vFlash: Directive<HTMLElement, Value> = {
  updated(element, { value, oldValue }) {
    if (value == null || oldValue == null || value === oldValue || element.dataset['flash']) return
    element.dataset['flash'] = value > oldValue ? 'up' : 'down'
    setTimeout(() => delete element.dataset['flash'], FLASH_MS)
  },
}
