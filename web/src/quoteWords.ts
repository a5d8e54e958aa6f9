/** Descriptions of unusual quotes. */
import type { Quote } from './document'

/** By its state; empty for a bid and an ask. A newer daemon may have other states. */
export const STATE_WORDS: Readonly<Record<Quote['state'], string>> = {
  twoSided: '',
  none: 'no quote',
  zeroBid: 'no bid',
  noAsk: 'no ask',
  locked: 'locked',
  crossed: 'crossed',
  stub: 'stub quote',
}
