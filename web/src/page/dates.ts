/** Dates and times in the short forms of the page; times are the exchange's. */
import { shortDay } from '../format'

const ZONE = 'America/New_York'
const WEEKDAY = new Intl.DateTimeFormat('en-US', { timeZone: ZONE, weekday: 'short' })
const DATE = new Intl.DateTimeFormat('en-CA', { timeZone: ZONE, dateStyle: 'short' })
const clockOf = (options: Intl.DateTimeFormatOptions) =>
  new Intl.DateTimeFormat('en-US', { timeZone: ZONE, hourCycle: 'h23', hour: '2-digit', minute: '2-digit', ...options })
const MINUTE = clockOf({})
const SECOND = clockOf({ second: '2-digit' })

/** Returns the date at the exchange, as 2026-12-18. */
export const exchangeDate = (at: string | number) => DATE.format(new Date(at))

/** Formats a time as 15:02:11. */
export const secondOfDay = (at: string | number) => SECOND.format(new Date(at))

/** Formats a time as 16:15, with the weekday or the date if it is another day than `now`. */
export function minuteOfDay(at: string | number, now: number): string {
  const time = MINUTE.format(new Date(at))
  const date = exchangeDate(at)
  if (date === exchangeDate(now)) return time
  const days = Math.abs(Date.parse(date) - Date.parse(exchangeDate(now))) / 86_400_000
  return `${days < 7 ? WEEKDAY.format(new Date(at)) : shortDay(date, now)} ${time}`
}
