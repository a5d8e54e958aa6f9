/** A profit or loss has a sign and an arrow, because not everyone sees its colour. */
import { signed } from '../format'

/** Formats an amount, with an arrow unless it is zero; unknown is an em dash. */
export function profit(amount: number | null): string {
  const arrow = { gain: '▲ ', loss: '▼ ', even: '' }
  return arrow[leaning(amount)] + signed(amount)
}

/** The CSS class for its colour. */
export function leaning(amount: number | null): 'gain' | 'loss' | 'even' {
  return !amount ? 'even' : amount > 0 ? 'gain' : 'loss'
}
