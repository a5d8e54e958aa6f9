/**
 * The line of a session: profit or loss over time, scaled to a box.
 *
 * The box spans the lowest to the highest value, because small moves of a large profit would be invisible with zero in it.
 * It spans at least a fiftieth of the maximum profit, or a dollar if there is none, so that a move of a cent looks small.
 * There is a point a minute. Missing points are a gap in the line. The current value is its last point, unless there is a gap
 * before it. Where points are closer together than the line is wide, only the extremes are drawn, as the others would be
 * hidden by them.
 */
import type { History } from './document'
import { clock, signed } from './format'
import { scale } from './scale'

export interface Sparkline {
  /** The `d` of an SVG path. */
  path: string
  /** The y coordinate of zero, if it is inside the box. */
  zero: number | null
  /** First its start and its change, then its low and its high. */
  texts: string[]
}

/** Two points further apart than this are not joined. */
const GAP_SECONDS = 150
/** The least height of the box: cents per dollar of the maximum profit, or without one `MIN_CENTS`. */
const MIN_PART = 2
const MIN_CENTS = 100
/** The width in pixels of a column, of which the line shows the extremes. */
const COLUMN = 2
/** The end of the line moves in steps of a pixel divided by this, so that it is not drawn again for invisible moves. */
const PART = 4

/**
 * Returns the line of `history`, which older daemons do not send, up to `current` dollars at `now`, if that is not null.
 * Null with fewer than two points to join.
 */
export function sparkline(
  history: History | undefined,
  current: number | null,
  now: number,
  width: number,
  height: number,
  maxProfit: number | null,
): Sparkline | null {
  if (!history?.seconds.length) return null
  const { seconds, cents } = upTo(history, current, now, width)
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
  const points = cents.map((value, at) => ({ x: x(seconds[at]!), y: y(value), isJoined: isJoined(at) }))
  const path = visible(points).map((point) => `${point.isJoined ? 'L' : 'M'}${point.x} ${point.y}`).join('')
  if (!path.includes('L')) return null
  const [change, lowest, highest] = [cents.at(-1)! - cents[0]!, low, high].map((each) => signed(each / 100))
  const texts = [`P/L by the minute since ${clock(begin * 1000, now)}: change ${change}`, `low ${lowest}, high ${highest}`]
  return { path, zero: Math.abs(middle) <= reach ? y(0) : null, texts }
}

interface Drawn {
  x: number
  y: number
  isJoined: boolean
}

/** Returns the extremes of each column, and the ends of each piece of the line. */
function visible(points: Drawn[]): Drawn[] {
  const column = ({ x }: Drawn) => Math.floor(x / COLUMN)
  const goesOn = (at: number) => points[at]?.isJoined && column(points[at]) === column(points[at - 1]!)
  const kept: Drawn[] = []
  for (let from = 0, end = 1; from < points.length; from = end, end += 1) {
    while (goesOn(end)) end += 1
    let [low, high] = [from, from]
    for (let at = from; at < end; at += 1) {
      if (points[at]!.y > points[low]!.y) low = at
      if (points[at]!.y < points[high]!.y) high = at
    }
    for (let at = from; at < end; at += 1) {
      const isEnd = (at === from && !points[at]!.isJoined) || (at === end - 1 && !points[end]?.isJoined)
      if (at === low || at === high || isEnd) kept.push(points[at]!)
    }
  }
  return kept
}

function upTo(history: History, current: number | null, now: number, width: number): History {
  const { seconds, cents } = history
  const last = seconds.at(-1)!
  const step = Math.max(1, Math.floor((last - seconds[0]!) / width / PART))
  const end = Math.max(last, Math.floor(now / 1000 / step) * step)
  if (current === null || end - last > GAP_SECONDS) return history
  return { seconds: [...seconds, end], cents: [...cents, Math.round(current * 100)] }
}
