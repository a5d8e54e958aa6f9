/**
 * `v-flash="value"`: highlights a number for a moment after it has changed.
 *
 * It does not fade: the browser would paint sixty times a second, which costs more than everything else here. The style
 * sheet decides how it looks, and turns it off for `prefers-reduced-motion`.
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
