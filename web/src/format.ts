/** Formats numbers and times. A value that is not known is an em dash; times are in the exchange's zone, which they name. */

type Known = number | null | undefined

const ZONE = 'America/New_York'
const PRICE = new Intl.NumberFormat('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 4 })
const MONEY = new Intl.NumberFormat('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })
const SIGNED = new Intl.NumberFormat('en-US', {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
  signDisplay: 'exceptZero',
})
const TIME: Intl.DateTimeFormatOptions = {
  timeZone: ZONE,
  hourCycle: 'h23',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  timeZoneName: 'short',
}
const CLOCK = new Intl.DateTimeFormat('en-US', TIME)
const DATED_CLOCK = new Intl.DateTimeFormat('en-US', { ...TIME, weekday: 'short', month: 'short', day: 'numeric' })
const DAY = new Intl.DateTimeFormat('en-US', { timeZone: 'UTC', dateStyle: 'medium' })
const HOUR_MS = 3_600_000
const AGES = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
] as const

const read = (format: Intl.NumberFormat, value: Known) =>
  value == null ? '—' : format.format(value).replace('-', '−')

/** A price per share: as many decimals as it has, at least two. */
export const price = (value: Known) => read(PRICE, value)
/** An amount of dollars. */
export const money = (value: Known) => read(MONEY, value)
/** A profit or loss in dollars, with its sign. */
export const signed = (value: Known) => read(SIGNED, value)
/** A percentage with the sign of the profit or loss that it belongs to. */
export const percent = (value: Known) => (value == null ? '—' : `${read(MONEY, value)} %`)
/** A strike without trailing zeros. */
export const strike = (value: number) => String(value)

/** 2026-12-18 as Dec 18, 2026. */
export const day = (date: string) => DAY.format(new Date(date))

/** Formats a time in the exchange's zone as 14:31:02 EST, with the day if it is over 12 hours from `now`. */
export function clock(at: string | number, now: number): string {
  const time = new Date(at)
  return (Math.abs(now - time.getTime()) > 12 * HOUR_MS ? DATED_CLOCK : CLOCK).format(time)
}

/** Formats how long ago `at` was, in its largest unit. */
export function age(at: string | number, now: number): string {
  const seconds = Math.max(0, Math.floor((now - new Date(at).getTime()) / 1000))
  const [size, unit] = AGES.find(([size]) => seconds >= size) ?? [1, 's']
  return `${Math.floor(seconds / size)} ${unit}`
}

/** Days to expiration in words. */
export function daysLeft(days: number): string {
  if (days < 0) return 'expired'
  return days === 0 ? 'expires today' : `${days} ${days === 1 ? 'day' : 'days'}`
}
