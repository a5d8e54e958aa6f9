/** Dates and times in the short forms of the page; times are the exchange's. */
import { exchangeDate } from '../countdown'
import { shortDay } from '../format'

export { exchangeDate }

const ZONE = 'America/New_York'
const formatOf = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en-US', { timeZone: ZONE, ...options })
const CLOCK = { hourCycle: 'h23', hour: '2-digit', minute: '2-digit' } as const
/** Made when they are first used, as each takes longer than a frame has. */
let minute: Intl.DateTimeFormat | undefined
let second: Intl.DateTimeFormat | undefined
let weekday: Intl.DateTimeFormat | undefined

/** Formats a time as 15:02:11. */
export const secondOfDay = (at: string | number) => (second ??= formatOf({ ...CLOCK, second: '2-digit' })).format(new Date(at))

/** Formats a time as 16:15, with the weekday or the date if it is another day than `now`. */
export function minuteOfDay(at: string | number, now: number): string {
  minute ??= formatOf(CLOCK)
  const time = minute.format(new Date(at))
  const date = exchangeDate(at)
  if (date === exchangeDate(now)) return time
  const days = Math.abs(Date.parse(date) - Date.parse(exchangeDate(now))) / 86_400_000
  weekday ??= formatOf({ weekday: 'short' })
  return `${days < 7 ? weekday.format(new Date(at)) : shortDay(date, now)} ${time}`
}
