/**
 * Decides which condors are shown, in which order, and whether they are read aloud.
 *
 * The view is kept in the address, after the `#`, so that it can be bookmarked; what is as usual is left out there. What
 * is not known comes last in any order.
 */
import type { Condor, Quote } from '../document'
import { day } from '../format'

export const SORTS = {
  days: 'days left',
  worst: 'P/L, worst first',
  best: 'P/L, best first',
  breakeven: 'nearness of a breakeven',
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
  /** Words, or parts of such, of what a condor is called and of its id. */
  find: string
  /** Whether changes of profit and loss are read aloud. */
  announce: 'on' | 'off'
}

export const USUAL: View = { sort: 'days', show: 'all', find: '', announce: 'off' }

/** The view that an address's hash names; what it does not name, or wrongly, is as usual. */
export function fromHash(hash: string): View {
  const said = new URLSearchParams(hash.replace(/^#/, ''))
  const sort = said.get('sort') ?? ''
  const show = said.get('show') ?? ''
  return {
    sort: isOneOf(SORTS, sort) ? sort : USUAL.sort,
    show: isOneOf(SHOWS, show) ? show : USUAL.show,
    find: said.get('find') ?? USUAL.find,
    announce: said.get('announce') === 'on' ? 'on' : USUAL.announce,
  }
}

/** The hash that names a view, without `#`; empty for the usual one. */
export function toHash(view: View): string {
  const said = Object.entries(view).filter(([name, value]) => value !== USUAL[name as keyof View])
  return new URLSearchParams(said).toString()
}

/** The ids of the condors to show, in their order; where two are equal, in that of the daemon. */
export function arranged(condors: Iterable<Condor>, quotes: ReadonlyMap<string, Quote>, view: View): string[] {
  const shown = [...condors].filter((condor) => isShown(condor, view))
  const rank = RANKS[view.sort]
  return shown
    .map((condor) => ({ id: condor.id, rank: rank(condor, quotes) }))
    .sort((one, other) => compared(one.rank, other.rank))
    .map(({ id }) => id)
}

/**
 * How near the nearer breakeven is, from 0 to 1, or null.
 *
 * No price of the underlying is known here. But what a side's spread costs, as a part of its width, is about the chance
 * that the market gives the underlying to end beyond a point between its strikes, and that is where the breakeven is.
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
