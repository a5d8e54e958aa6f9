/**
 * `v-flash="{ value, effect }"`: highlights a number for a moment after it has changed.
 *
 * At most one element of a card flashes at a time, and at most one in a second and a half: more is noise. It does not fade:
 * the browser would paint sixty times a second, which costs more than everything else here. Nothing flashes while the
 * reader prefers reduced motion.
 */
import type { Directive } from 'vue'

/** The colour: by the effect on the profit or loss, one neutral colour, or none. */
export type FlashMode = 'effect' | 'neutral' | 'off'

export interface Flash {
  value: number | null | undefined
  /** The sign of what a rise does to the profit or loss: a rising quote of a short leg is a loss. */
  effect: 1 | -1
  mode: FlashMode
}

const FLASH_MS = 500
const PAUSE_MS = 1500

/** When an element of each card last began to flash. */
const lastFlashes = new WeakMap<Element, number>()

export const vFlash: Directive<HTMLElement, Flash> = {
  updated(element, { value: { value, effect, mode }, oldValue }) {
    const before = oldValue?.value
    if (mode === 'off' || value == null || before == null || value === before) return
    const card = element.closest('.condor-card') ?? element
    const now = performance.now()
    if (now - (lastFlashes.get(card) ?? -Infinity) < PAUSE_MS || prefersCalm()) return
    lastFlashes.set(card, now)
    const isGain = value > before === (effect === 1)
    element.dataset['flash'] = mode === 'neutral' ? 'neutral' : isGain ? 'gain' : 'loss'
    setTimeout(() => delete element.dataset['flash'], FLASH_MS)
  },
}

const prefersCalm = () => typeof matchMedia === 'function' && matchMedia('(prefers-reduced-motion: reduce)').matches
