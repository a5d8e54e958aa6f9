/**
 * The view: which condors are shown, in which order, and whether changes are announced.
 *
 * It is kept in the hash of the address, without defaults, so that it can be bookmarked. Unknown values are last in any
 * order.
 */
import type { Condor, Quote } from '../document'
import { day } from '../format'

export const SORTS = {
  days: 'days left',
  worst: 'P/L, worst first',
  best: 'P/L, best first',
  breakeven: 'distance to a breakeven',
  symbol: 'symbol',
} as const
export const SHOWS = {
  all: 'all condors',
  losing: 'losing',
  winning: 'winning',
  week: 'at most 7 days left',
  doubtful: 'incomplete or unconfirmed',
} as const

export interface View {
  sort: keyof typeof SORTS
  show: keyof typeof SHOWS
  /** Words or parts of words from a condor's name or id. */
  find: string
  /** Whether screen readers announce changes of profit and loss. */
  announce: 'on' | 'off'
}

export const DEFAULT: View = { sort: 'days', show: 'all', find: '', announce: 'off' }

/** Returns the view in the hash of an address; missing and invalid values are the defaults. */
export function fromHash(hash: string): View {
  const parameters = new URLSearchParams(hash.replace(/^#/, ''))
  const sort = parameters.get('sort') ?? ''
  const show = parameters.get('show') ?? ''
  return {
    sort: isOneOf(SORTS, sort) ? sort : DEFAULT.sort,
    show: isOneOf(SHOWS, show) ? show : DEFAULT.show,
    find: parameters.get('find') ?? DEFAULT.find,
    announce: parameters.get('announce') === 'on' ? 'on' : DEFAULT.announce,
  }
}

/** Returns the hash for a view, without `#`; empty for the default view. */
export function toHash(view: View): string {
  const changes = Object.entries(view).filter(([name, value]) => value !== DEFAULT[name as keyof View])
  return new URLSearchParams(changes).toString()
}

/** Returns the ids of the condors to show, in order; equal ones keep the daemon's order. */
export function arranged(condors: Iterable<Condor>, quotes: ReadonlyMap<string, Quote>, view: View): string[] {
  const shown = [...condors].filter((condor) => isShown(condor, view))
  const rank = RANKS[view.sort]
  return shown
    .map((condor) => ({ id: condor.id, rank: rank(condor, quotes) }))
    .sort((one, other) => compared(one.rank, other.rank))
    .map(({ id }) => id)
}

/**
 * Returns how near the nearer breakeven is, from 0 to 1; null if it is not known.
 *
 * The price of the underlying is not known here. But the cost of a vertical spread as a fraction of its width approximates
 * the probability that the underlying expires beyond a point between its strikes, and the breakeven is such a point.
 */
export function nearness(condor: Condor, quotes: ReadonlyMap<string, Quote>): number | null {
  const sides = (['put', 'call'] as const).map((right) => {
    const [lower, upper] = condor.legs.filter((leg) => leg.right === right)
    const low = lower && quotes.get(lower.symbol)?.mark
    const high = upper && quotes.get(upper.symbol)?.mark
    if (low == null || high == null || !lower || !upper || lower.strike === upper.strike) return null
    return Math.abs(high - low) / Math.abs(upper.strike - lower.strike)
  })
  const [put, call] = sides
  return put == null || call == null ? null : Math.max(put, call)
}

type Rank = string | number | null

const RANKS: Record<View['sort'], (condor: Condor, quotes: ReadonlyMap<string, Quote>) => Rank> = {
  days: (condor) => condor.daysToExpiration,
  worst: (condor) => condor.valuation.unrealizedPl,
  best: (condor) => negative(condor.valuation.unrealizedPl),
  breakeven: (condor, quotes) => negative(nearness(condor, quotes)),
  symbol: (condor) => condor.underlying,
}

function isShown(condor: Condor, view: View): boolean {
  const { unrealizedPl, missing, unconfirmed } = condor.valuation
  const isKind: Record<View['show'], boolean> = {
    all: true,
    losing: unrealizedPl !== null && unrealizedPl < 0,
    winning: unrealizedPl !== null && unrealizedPl > 0,
    week: condor.daysToExpiration <= 7,
    doubtful: missing.length > 0 || unconfirmed,
  }
  return isKind[view.show] && isFound(condor, view.find)
}

function isFound({ id, underlying, root, direction, kind, expiration }: Condor, find: string): boolean {
  const words = kind === 'ironButterfly' ? 'iron butterfly' : 'iron condor'
  const called = [id, underlying, root, direction, words, day(expiration)].join(' ').toUpperCase()
  return find.toUpperCase().split(/\s+/).every((word) => called.includes(word))
}

function compared(one: Rank, other: Rank): number {
  if (one === other) return 0
  if (one === null) return 1
  if (other === null) return -1
  return one < other ? -1 : 1
}

function negative(value: number | null): number | null {
  return value === null ? null : -value
}

function isOneOf<Names extends object>(names: Names, name: string): name is keyof Names & string {
  return Object.hasOwn(names, name)
}
