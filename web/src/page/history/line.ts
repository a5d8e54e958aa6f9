/** Lays out a recorded line: where each point is, where the line is interrupted, and the labels of both axes. */
import type { components } from '../../api'
import { shortDay, usd } from '../../format'
import { exchangeDate, minuteOfDay } from '../dates'

export type Recorded = components['schemas']['Recorded']

export interface Place {
  /** From 0 to 1. */
  x: number
  /** The time in milliseconds. */
  at: number
  cents: number | null
  natural: number | null
  low: number | null
  high: number | null
  price: number | null
}

export interface Line {
  places: Place[]
  /** The parts of the line without a gap, as indices: from the first to the last point of each. */
  runs: [number, number][]
  /** The first points of days, with the day. */
  days: { x: number; text: string }[]
  /** Cents at which a line is drawn across, with the amount. */
  levels: { cents: number; text: string }[]
  low: number
  high: number
}

const DAY_MS = 86_400_000
/** How much room the night has between two sessions, in points. */
const NIGHT = 2
const LEVELS = 5

/** Returns the layout of what was recorded, with at most `labels` days or times; null without a point. */
export function lineOf(recorded: Recorded, now: number, labels = 6): Line | null {
  const { seconds, resolutionSeconds } = recorded
  if (!seconds.length) return null
  const steps = seconds.map((at, index) => (index ? stepTo(seconds[index - 1]!, at, resolutionSeconds) : { width: 0, isGap: false }))
  const ends = steps.reduce<number[]>((sums, { width }) => [...sums, (sums.at(-1) ?? 0) + width], [])
  const whole = ends.at(-1)! || 1
  const places = seconds.map((at, index) => ({
    x: seconds.length === 1 ? 0.5 : ends[index]! / whole,
    at: at * 1000,
    cents: recorded.cents[index] ?? null,
    natural: recorded.naturalCents[index] ?? null,
    low: recorded.low[index] ?? null,
    high: recorded.high[index] ?? null,
    price: recorded.price[index] ?? null,
  }))
  const amounts = places.flatMap(({ cents, low, high }) => [cents, low, high]).filter((cents) => cents !== null)
  const low = Math.min(0, ...amounts)
  const high = Math.max(0, ...amounts)
  return { places, runs: runsOf(places, steps.map(({ isGap }) => isGap)), days: daysOf(places, now, labels), levels: levelsOf(low, high), low, high }
}

/** Returns the index of the place nearest to `x`. */
export function nearest(places: Place[], x: number): number {
  let best = 0
  for (const [index, place] of places.entries()) if (Math.abs(place.x - x) < Math.abs(places[best]!.x - x)) best = index
  return best
}

/** Returns where a moment belongs among the places; null if it was before the first or after the last. */
export function xOf(places: Place[], at: number): number | null {
  const next = places.findIndex((place) => place.at >= at)
  return next < 0 || (next === 0 && places[0]!.at - at > DAY_MS) ? null : places[next]!.x
}

/**
 * The night between two sessions is not a gap, however long; a minute of a session that is missing is one, and so is a
 * weekday without any.
 */
function stepTo(from: number, to: number, resolution: number): { width: number; isGap: boolean } {
  const points = Math.round((to - from) / resolution)
  const [fromDay, toDay] = [from, to].map((at) => Date.parse(exchangeDate(at * 1000 - 1))) as [number, number]
  if (fromDay === toDay) return { width: points, isGap: points > 1 }
  const skipped = weekdaysBetween(fromDay, toDay, resolution * 1000)
  return { width: Math.min(points, NIGHT) + Math.min(skipped * NIGHT, points), isGap: skipped > 0 }
}

/** A bucket of several days covers the days before its end. */
function weekdaysBetween(from: number, to: number, resolutionMs: number): number {
  let count = 0
  for (let day = from + DAY_MS; day < to - Math.max(0, resolutionMs - DAY_MS); day += DAY_MS) {
    if (![0, 6].includes(new Date(day).getUTCDay())) count += 1
  }
  return resolutionMs >= DAY_MS ? Math.max(0, count - 1) : count
}

function runsOf(places: Place[], isGap: boolean[]): [number, number][] {
  const runs: [number, number][] = []
  for (const [index, { cents }] of places.entries()) {
    if (cents === null) continue
    const run = runs.at(-1)
    if (run && run[1] === index - 1 && !isGap[index]) run[1] = index
    else runs.push([index, index])
  }
  return runs
}

function daysOf(places: Place[], now: number, labels: number): Line['days'] {
  const date = (place: Place) => exchangeDate(place.at - 1)
  const first = places.filter((place, index) => !index || date(place) !== date(places[index - 1]!))
  if (first.length === 1) return hoursOf(places, now, labels)
  const every = Math.ceil(first.length / labels)
  return first.filter((_, index) => index % every === 0).map((place) => ({ x: place.x, text: shortDay(date(place), now) }))
}

function hoursOf(places: Place[], now: number, labels: number): Line['days'] {
  const count = Math.min(labels, places.length)
  const indices = Array.from({ length: count }, (_, index) => Math.round((index * (places.length - 1)) / Math.max(1, count - 1)))
  return [...new Set(indices)].map((index) => {
    const { x, at } = places[index]!
    return { x, text: minuteOfDay(at, now) }
  })
}

function levelsOf(low: number, high: number): Line['levels'] {
  const raw = Math.max(high - low, 100) / LEVELS
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 2.5, 5, 10].map((part) => part * power).find((each) => each >= raw)!
  const levels = []
  for (let cents = Math.ceil(low / step) * step; cents <= high; cents += step) levels.push({ cents: cents + 0, text: usd((cents + 0) / 100) })
  return levels
}
