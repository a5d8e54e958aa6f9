/** Where profits and losses of a condor lie on a bar from a loss on the left to the maximum profit on the right. */
import type { Condor } from './document'
import { scale } from './scale'

export interface ProfitScale {
  /** The loss at the left end, in dollars, negative. */
  low: number
  high: number
  /** In percent of the width, within 0 and 100. */
  at: (pl: number) => number
}

/** How far the bar extends beyond the stop. */
const MARGIN = 1.2

/**
 * Returns the scale; null if the maximum profit is not known or not above zero. The left end is a fifth beyond the stop,
 * or the maximum loss if that is nearer or there is no stop; it moves out with a larger loss.
 */
export function profitScale({ maxProfit, maxLoss, exits, valuation: { unrealizedPl } }: Condor): ProfitScale | null {
  if (maxProfit === null || maxProfit <= 0) return null
  // An older daemon has no exits.
  const stop = exits?.stop ?? null
  const wanted = Math.min(stop !== null ? stop * MARGIN : -(maxLoss ?? maxProfit), unrealizedPl ?? 0)
  const low = Math.min(maxLoss === null ? wanted : Math.max(-maxLoss, wanted), -maxProfit / 10)
  const position = scale([low, maxProfit], [0, 100])
  return { low, high: maxProfit, at: (pl) => Math.min(100, Math.max(0, position(pl))) }
}
