/** Decides how a profit or a loss stands out: by sign and arrow, as colour alone says nothing to many. */
import { signed } from '../format'

/** With an arrow where it is not zero; unknown is an em dash. */
export function profit(amount: number | null): string {
  const arrow = { gain: '▲ ', loss: '▼ ', even: '' }
  return arrow[leaning(amount)] + signed(amount)
}

/** The class for its colour. */
export function leaning(amount: number | null): 'gain' | 'loss' | 'even' {
  return !amount ? 'even' : amount > 0 ? 'gain' : 'loss'
}
