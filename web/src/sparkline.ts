/**
 * Decides the line of a session: profit or loss over time, into a box of so many units.
 *
 * The box is from the lowest to the highest value, as small moves of a large profit would not be seen beside zero; but it
 * spans a fiftieth of the maximum profit at least, or a dollar where there is none, as a cent up and down is no mountain.
 * The daemon knows a point a minute; where some are missing the line has a hole, and is not guessed. It ends at the
 * present where it is known up to there.
 */
import type { History } from './document'
import { clock, signed } from './format'
import { scale } from './scale'

export interface Sparkline {
  /** As the `d` of a path. */
  path: string
  /** Where zero is, if it was there. */
  zero: number | null
  /** Since when it is and what has become of it; between which ends. */
  texts: string[]
}

/** Two points further apart than this are not joined. */
const HOLE_SECONDS = 150
/** Cents for each dollar of the maximum profit. */
const LEAST_PART = 2
const LEAST_CENTS = 100

/**
 * The line of `history`, which older daemons do not send, up to `present` dollars at `now` if that is known, for a condor
 * of this maximum profit; null where there is nothing to draw: a point alone is none.
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
  const least = Math.max(maxProfit ?? 0, 0) * LEAST_PART || LEAST_CENTS
  const reach = Math.max(high - low, least) / 2
  const y = scale([middle - reach, middle + reach], [height - 1, 1])
  // The first point has none before it, from which no distance is known.
  const isJoined = (at: number) => seconds[at]! - seconds[at - 1]! <= HOLE_SECONDS
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
  if (present === null || end - last > HOLE_SECONDS) return history
  return { seconds: [...seconds, end], cents: [...cents, Math.round(present * 100)] }
}
