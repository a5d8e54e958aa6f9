/**
 * The view: cards or table, which condors, and their order and groups.
 *
 * It is kept in the hash of the address, without defaults, so that it can be bookmarked. Unknown values are last in any
 * order.
 */
import type { Alert } from '../document'
import { day } from '../format'
import { brokenKey } from '../parts'
import type { Column } from './columns'
import { isBroken, markOf, urgencyKeys, VALUES, type Entry, type Mark } from './entries'
import type { finder } from './find'

export const FORMS = { cards: 'Cards', table: 'Table' } as const
export const GROUPS = { none: 'No groups', underlying: 'By underlying', expiration: 'By expiration' } as const
/** The orders in the toolbar. The table can be sorted by all of its columns. */
export const SORTS: Readonly<Record<string, string>> = {
  urgency: 'Urgency',
  pl: 'P/L',
  today: 'Today',
  expires: 'Expiration',
  condor: 'Underlying',
  percent: '% of max profit',
  distance: 'Distance to a short strike',
  prob: 'Probability of profit',
}

/** The keys of the other columns. */
export const COLUMN_SORTS =
  'price put call delta theta close natural naturalPl credit maxProfit maxLoss risk worst best target stop gamma vega move'.split(' ')

export interface View {
  view: keyof typeof FORMS
  /** `urgency`, `distance` or the key of a column, in ascending order; after a hyphen in descending order. */
  sort: string
  group: keyof typeof GROUPS
  /** The text of the field "Find". */
  find: string
}

export const DEFAULT: View = { view: 'cards', sort: 'urgency', group: 'none', find: '' }

/** The orders and filters in the addresses of the first release. */
const OLD_SORTS: Readonly<Record<string, string>> = {
  days: 'expires',
  worst: 'pl',
  best: '-pl',
  breakeven: 'distance',
  symbol: 'condor',
}
const OLD_SHOWS: Readonly<Record<string, string>> = {
  losing: 'losing',
  winning: 'winning',
  week: 'expiring',
  doubtful: 'doubtful',
}

/** Returns the view in the hash of an address; missing and invalid values are the defaults. */
export function fromHash(hash: string): View {
  const parameters = new URLSearchParams(hash.replace(/^#/, ''))
  const given = (name: string) => parameters.get(name) ?? ''
  const show = Object.hasOwn(OLD_SHOWS, given('show')) ? OLD_SHOWS[given('show')] : ''
  return {
    view: isOneOf(FORMS, given('view')) ? (given('view') as View['view']) : DEFAULT.view,
    sort: sortOf(given('sort')),
    group: isOneOf(GROUPS, given('group')) ? (given('group') as View['group']) : DEFAULT.group,
    find: [show, given('find')].filter(Boolean).join(' '),
  }
}

/** Whether the address is that of the closed trades, which are shown in place of everything else. */
export const isTradesHash = (hash: string) => new URLSearchParams(hash.slice(1)).get('view') === 'trades'

/** Returns the hash for a view, without `#`; empty for the default view. */
export function toHash(view: View): string {
  const changes = Object.entries(view).filter(([name, value]) => value !== DEFAULT[name as keyof View])
  return new URLSearchParams(changes).toString()
}

/** The part of the view that decides which entries are shown and in which order. */
export const orderHash = ({ sort, group, find }: View) => toHash({ ...DEFAULT, sort, group, find })

/** Returns the order after a click on the header of a column: ascending, then descending. */
export const turned = (sort: string, key: string) => (sort === key && key !== DEFAULT.sort ? `-${key}` : key)

export interface Group {
  /** Empty if entries are not grouped. */
  name: string
  /** The keys of its entries. */
  ids: readonly string[]
}

/** Parts that are loaded when a view needs them. Until then entries are neither searched nor sorted by columns that only the table has. */
export interface Tools {
  columns?: readonly Column[]
  finder?: typeof finder
}

/** Whether `view` is that of a column which only the table knows. */
export const isColumnSort = ({ sort }: View) => !Object.hasOwn(SORTS, keyOf(sort))

const keyOf = (sort: string) => sort.replace(/^-/, '')

/** Returns the keys of the entries to show, in order and in groups; equal ones keep the daemon's order. `now` is in milliseconds. */
export function arranged(
  entries: readonly Entry[],
  alerts: readonly Alert[],
  marks: ReadonlyMap<string, Mark>,
  view: View,
  { columns = [], finder }: Tools,
  now: number,
): Group[] {
  const isFound = (view.find && finder?.(view.find)) || null
  const whole = new Set(entries.flatMap((entry) => (isBroken(entry) ? [] : entry.id)))
  const entryKey = (entry: Entry) => (isBroken(entry) ? brokenKey(entry.id, whole) : entry.id)
  const shown = isFound ? entries.filter((entry) => isFound(entry, markOf(entry, marks.get(entryKey(entry)))?.severity)) : entries
  const key = keyOf(view.sort)
  const valueOf = columns.find((column) => column.key === key)?.value ?? (Object.hasOwn(VALUES, key) ? VALUES[key as keyof typeof VALUES] : () => null)
  const sign = view.sort.startsWith('-') ? -1 : 1
  const firing = alerts.filter(({ state }) => state === 'firing')
  const ranked = shown
    .map((entry) => ({ entry, rank: rankOf(entry, key, firing, valueOf, now) }))
    .sort((one, other) => compared(one.rank, other.rank, sign))
  const groups = new Map<string, string[]>()
  for (const { entry } of ranked) {
    const key = view.group === 'none' ? '' : entry[view.group]
    groups.set(key, [...(groups.get(key) ?? []), entryKey(entry)])
  }
  // By name or by date, however their entries are sorted, so that a group stays in its place.
  return [...groups]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, ids]) => ({ name: view.group === 'expiration' ? day(key) : key, ids }))
}

type Rank = readonly (string | number | boolean | null)[]

function rankOf(entry: Entry, key: string, alerts: readonly Alert[], valueOf: Column['value'], now: number): Rank {
  if (key === 'urgency') return urgencyKeys(entry, alerts, now)
  if (key === 'distance') return [nearest(entry)]
  return [valueOf(entry)]
}

/** Returns how near the price is to an inner strike that is sold, in standard deviations; a long condor has none to fear. */
function nearest(entry: Entry): number | null {
  if (isBroken(entry) || entry.direction === 'long') return null
  const { put, call } = entry.risk.distance
  return put.sigmas === null || call.sigmas === null ? null : Math.min(put.sigmas, call.sigmas)
}

/** Unknown is last in both directions. */
function compared(one: Rank, other: Rank, sign: number): number {
  for (const [at, mine] of one.entries()) {
    const its = other[at] ?? null
    if (mine === its) continue
    if (mine === null) return 1
    if (its === null) return -1
    return mine < its ? -sign : sign
  }
  return 0
}

function sortOf(given: string): string {
  const sort = (Object.hasOwn(OLD_SORTS, given) && OLD_SORTS[given]) || given
  const key = sort.replace(/^-/, '')
  const isKnown = Object.hasOwn(SORTS, key) || COLUMN_SORTS.includes(key)
  return isKnown && sort !== `-${DEFAULT.sort}` ? sort : DEFAULT.sort
}

function isOneOf(names: object, name: string): boolean {
  return Object.hasOwn(names, name)
}
