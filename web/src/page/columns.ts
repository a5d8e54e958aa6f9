/**
 * The columns of the table: what each shows, what it is sorted by, how wide it is, and how long it stays when the table
 * gets narrow.
 */
import type { Condor } from '../document'
import { day, format, money, price, shortDay, sigmas, signedTenths, usd, wholePercent } from '../format'
import { amount, isBroken, nameOf, strikesOf, VALUES, type Entry } from './entries'

export interface Column {
  key: string
  /** The header. */
  name: string
  /** The tooltip of the header, and the name in the list of columns. */
  title: string
  /** The least width in rem at which its figures are not cut off. */
  width: number
  /** The width on a phone, where its text is shorter. */
  narrowWidth?: number
  narrowName?: string
  /** The value that the table is sorted by. */
  value: (entry: Entry) => string | number | null
  text: (entry: Entry, isNarrow?: boolean) => string
  /** Whether its figures are gains and losses. */
  isProfit?: boolean
  /** Whether the sum over a group means something: of any group, or only of those of one underlying. */
  sum?: 'always' | 'underlying'
}

/** The column of names is always shown. */
export const NAME_KEY = 'condor'
/** The width in rem of the column of marks. */
export const MARK_WIDTH = 1.75
/** The width in rem that the names get before the other columns get more than they need. */
export const NAME_WIDTH = 15.5
/** Below this width in rem the table is that of a phone. */
export const NARROW = 40

const held = (read: (condor: Condor) => number | null) => (entry: Entry) => (isBroken(entry) ? null : read(entry))

function figure(
  key: string,
  name: string,
  title: string,
  width: number,
  value: (entry: Entry) => number | null,
  text: (value: number | null) => string,
  more: Pick<Column, 'sum'> = {},
): Column {
  return { key, name, title, width, value, text: (entry) => text(value(entry)), ...more }
}

function profit(key: string, name: string, title: string, value: (entry: Entry) => number | null, isSummed = false): Column {
  const text = (entry: Entry, isNarrow?: boolean) => amount(value(entry), isNarrow)
  return { key, name, title, width: 6.25, narrowWidth: 5.25, value, text, isProfit: true, ...(isSummed && { sum: 'always' }) }
}

function side(right: 'put' | 'call', name: string, title: string): Column {
  const distance = (entry: Entry) => (isBroken(entry) ? null : entry.risk.distance[right])
  return {
    key: right,
    name,
    title,
    width: 8,
    value: (entry) => distance(entry)?.sigmas ?? null,
    text(entry) {
      const { dollars, sigmas: away } = distance(entry) ?? {}
      return dollars == null ? '—' : `${money(dollars)} · ${sigmas(away)}`
    },
  }
}

/** Per share. It is named, as a condor may be opened for a debit or a credit. */
function entryPrice({ credit }: Condor): string {
  if (credit === null) return '—'
  return `${price(Math.abs(credit))} ${credit < 0 ? 'debit' : 'credit'}`
}

/** An amount to close is a debit unless it is marked as received. */
const closingPrice = (value: number | null) => (value !== null && value < 0 ? `${price(-value)} cr` : price(value))

/** Unlimited is not the same as unknown: a loss has no bound only where what was paid is known. */
const lossText = (entry: Entry) => (isBroken(entry) ? '—' : format.maxLoss(entry.maxLoss, entry.credit !== null))

/** From this many days on, a date without its year could be in this year or the next. */
const YEAR_DAYS = 300
/** At noon UTC it is the same day at the exchange. */
const NOON_MS = 43_200_000

function expires({ expiration, daysToExpiration: days }: Entry, isNarrow = false): string {
  const left = days < 0 ? 'expired' : days === 0 ? 'today' : `${days} d`
  return isNarrow ? left : `${days < YEAR_DAYS ? shortDay(expiration, Date.parse(expiration) + NOON_MS) : day(expiration)} · ${left}`
}

/** All columns, in the order in which they are shown. */
export const COLUMNS: readonly Column[] = [
  {
    key: NAME_KEY,
    name: 'Condor',
    title: 'Underlying, strikes and quantity',
    width: 13,
    narrowWidth: 10,
    value: VALUES.condor,
    text: (entry) => `${nameOf(entry)} ${strikesOf(entry)} ×${entry.quantity}`,
  },
  {
    key: 'expires',
    name: 'Expires',
    title: 'Expiration and days left; on the last trading day the time left for orders',
    width: 7,
    narrowWidth: 3.75,
    narrowName: 'Days',
    value: VALUES.expires,
    text: expires,
  },
  profit('pl', 'P/L', 'Profit or loss since opening, at mid', VALUES.pl, true),
  profit('today', 'Today', 'Profit or loss today', VALUES.today, true),
  figure('percent', 'Of max profit', 'Profit or loss in percent of the maximum profit', 9, VALUES.percent, wholePercent),
  figure('price', 'Price', 'Price of the underlying', 5, held(({ risk }) => risk.price), money),
  side('put', 'Put side', 'Distance of the price to the inner put strike, in dollars and standard deviations'),
  side('call', 'Call side', 'Distance of the price to the inner call strike, in dollars and standard deviations'),
  figure('prob', 'Prob.', 'Probability of profit at expiration', 3.75, VALUES.prob, wholePercent),
  figure('delta', 'Delta', 'Dollars per dollar of the underlying', 4.25, held(({ risk }) => risk.delta), signedTenths, { sum: 'underlying' }),
  figure('theta', 'Theta', 'Dollars a day', 5.25, VALUES.theta, (value) => amount(value), { sum: 'always' }),
  figure('close', 'Close at mid', 'Price per share to close it at mid: a debit, or a credit (cr)', 5.75, held(({ valuation }) => valuation.mark), closingPrice),
  figure('natural', 'Natural', 'Price per share to close it at bid and ask: a debit, or a credit (cr)', 5.25, held(({ valuation }) => valuation.natural), closingPrice),
  profit('naturalPl', 'P/L at natural', 'Profit or loss if closed at bid and ask', held(({ valuation }) => valuation.naturalPl)),
  {
    key: 'credit',
    name: 'Opened for',
    title: 'Credit or debit per share',
    width: 6.75,
    value: held(({ credit }) => credit),
    text: (entry) => (isBroken(entry) ? '—' : entryPrice(entry)),
  },
  figure('maxProfit', 'Max profit', 'Maximum profit at expiration', 5.25, held(({ maxProfit }) => maxProfit), usd),
  { ...figure('maxLoss', 'Max loss', 'Maximum loss at expiration', 7, held(({ maxLoss }) => maxLoss), usd), text: lossText },
  figure('risk', 'Of risk', 'Profit or loss in percent of the maximum loss', 4.5, held(({ valuation }) => valuation.percentOfRisk), wholePercent),
  profit('worst', 'Worst', 'Lowest profit or loss since opening', held(({ valuation }) => valuation.worstPl)),
  profit('best', 'Best', 'Highest profit or loss since opening', held(({ valuation }) => valuation.bestPl)),
  figure('target', 'Target', 'Profit at which it is taken', 5.25, held(({ exits }) => exits.target), usd),
  figure('stop', 'Stop', 'Loss at which it is closed', 5.25, held(({ exits }) => exits.stop), usd),
  figure('gamma', 'Gamma', 'Dollars per dollar squared of the underlying', 4.5, held(({ risk }) => risk.gamma), money),
  figure('vega', 'Vega', 'Dollars per point of volatility', 5.5, held(({ risk }) => risk.vega), (value) => amount(value)),
  figure('move', 'Exp. move', 'Expected move of the underlying until expiration', 5, held(({ risk }) => risk.expectedMove), money),
]

export const DEFAULT_KEYS: readonly string[] = [
  NAME_KEY, 'expires', 'pl', 'today', 'percent', 'price', 'put', 'call', 'prob', 'delta', 'theta', 'close',
]

/** Which columns stay longest when the table gets narrow, the most important first; the others leave before them. */
const IMPORTANCE: readonly string[] = [
  NAME_KEY, 'pl', 'expires', 'today', 'percent', 'put', 'call', 'price', 'prob', 'theta', 'close', 'delta',
]

export const columnOf = (key: string) => COLUMNS.find((column) => column.key === key)

/** Returns the chosen columns in their order; unknown keys, of another version of the page, are skipped. */
export function chosenColumns(keys: readonly string[] | null): Column[] {
  const wanted = new Set([NAME_KEY, ...(keys ?? DEFAULT_KEYS)])
  return COLUMNS.filter(({ key }) => wanted.has(key))
}

export const widthOf = ({ width, narrowWidth }: Column, isNarrow: boolean) => (isNarrow && narrowWidth) || width

/** Returns those of `columns` that fit into `width` rem beside the marks. The least important leave first, the name never. */
export function fitting(columns: readonly Column[], width: number): Column[] {
  const rank = ({ key }: Column) => (IMPORTANCE.includes(key) ? IMPORTANCE.indexOf(key) : IMPORTANCE.length)
  const byImportance = [...columns].sort((one, other) => rank(one) - rank(other))
  let left = width - MARK_WIDTH
  // Once a column does not fit, all less important ones leave too, so that a wider window never takes a column away.
  const firstOut = byImportance.findIndex((column) => (left -= widthOf(column, width < NARROW)) < 0)
  const kept = new Set(byImportance.slice(0, firstOut < 0 ? undefined : Math.max(1, firstOut)))
  return columns.filter((column) => kept.has(column))
}
