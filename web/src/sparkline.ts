/**
 * The line of a session: profit or loss over time, scaled to a box.
 *
 * The box spans the lowest to the highest value, because small moves of a large profit would be invisible with zero in it.
 * It spans at least a fiftieth of the maximum profit, or a dollar if there is none, so that a move of a cent looks small.
 * There is a point a minute. Missing points are a gap in the line. The present is its last point, unless there is a gap
 * before it.
 */
import type { History } from './document'
import { clock, signed } from './format'
import { scale } from './scale'

export interface Sparkline {
  /** The `d` of an SVG path. */
  path: string
  /** The y coordinate of zero, if it is inside the box. */
  zero: number | null
  /** First its begin and its change, then its low and its high. */
  texts: string[]
}

/** Two points further apart than this are not joined. */
const GAP_SECONDS = 150
/** In cents per dollar of the maximum profit. */
const MIN_PART = 2
const MIN_CENTS = 100

/**
 * Returns the line of `history`, which older daemons do not send, up to `present` dollars at `now`, if that is not null.
 * Null with fewer than two points to join.
 */
export function sparkline(
  history: History | undefined,
  present: number | null,
  now: number,
  width: number,
  height: number,
  maxProfit: number | null,
): Sparkline | null {
  if (!history?.seconds.length) return null
  const { seconds, cents } = upTo(history, present, now)
  const begin = seconds[0]!
  const low = Math.min(...cents)
  const high = Math.max(...cents)
  const x = scale([begin, seconds.at(-1)!], [1, width - 1])
  const middle = (low + high) / 2
  const least = Math.max(maxProfit ?? 0, 0) * MIN_PART || MIN_CENTS
  const reach = Math.max(high - low, least) / 2
  const y = scale([middle - reach, middle + reach], [height - 1, 1])
  // False for the first point, whose distance is NaN.
  const isJoined = (at: number) => seconds[at]! - seconds[at - 1]! <= GAP_SECONDS
  const path = cents.map((value, at) => `${isJoined(at) ? 'L' : 'M'}${x(seconds[at]!)} ${y(value)}`).join('')
  if (!path.includes('L')) return null
  const [change, lowest, highest] = [cents.at(-1)! - cents[0]!, low, high].map((each) => signed(each / 100))
  const texts = [`P/L by the minute since ${clock(begin * 1000, now)}: change ${change}`, `low ${lowest}, high ${highest}`]
  return { path, zero: Math.abs(middle) <= reach ? y(0) : null, texts }
}

function upTo(history: History, present: number | null, now: number): History {
  const { seconds, cents } = history
  const last = seconds.at(-1)!
  const end = Math.max(last, Math.floor(now / 1000))
  if (present === null || end - last > GAP_SECONDS) return history
  return { seconds: [...seconds, end], cents: [...cents, Math.round(present * 100)] }
}
