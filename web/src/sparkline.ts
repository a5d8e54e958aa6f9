/** Decides the line of a session: profit or loss over time, with the line of zero, into a box of so many units. */
import type { History } from './document'
import { scale } from './scale'

export interface Sparkline {
  /** As the `points` of a polyline. */
  points: string
  /** Where zero is. */
  zero: number
  /** In dollars. */
  low: number
  high: number
}

/** The line of `history`; null where two points are not known yet. */
export function sparkline(history: History | null | undefined, width: number, height: number): Sparkline | null {
  const { seconds, cents } = history ?? { seconds: [], cents: [] }
  if (seconds.length < 2) return null
  const low = Math.min(...cents)
  const high = Math.max(...cents)
  const x = scale([seconds[0]!, seconds.at(-1)!], [1, width - 1])
  const y = scale([Math.min(low, 0), Math.max(high, 0)], [height - 1, 1])
  return {
    points: cents.map((value, at) => `${x(seconds[at]!)},${y(value)}`).join(' '),
    zero: y(0),
    low: low / 100,
    high: high / 100,
  }
}
