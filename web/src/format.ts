/**
 * Formats numbers, dates and times for people. A value that is not known is an em dash.
 *
 * Numbers and dates follow a locale, times are in a time zone, which they name; by default these are US English and the
 * exchange's. Words are English.
 */

type Known = number | null | undefined

export interface FormatOptions {
  /** A language tag such as `de-DE`, for the form of numbers and dates. */
  locale?: string | undefined
  /** An IANA name such as `Europe/Berlin`, for times. */
  timeZone?: string | undefined
}

const LOCALE = 'en-US'
const ZONE = 'America/New_York'
const UNKNOWN = '—'
const HOUR_MS = 3_600_000
const AGES = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
] as const
const DOLLARS: Intl.NumberFormatOptions = { style: 'currency', currency: 'USD', currencyDisplay: 'narrowSymbol' }
/** A value that rounds to zero is not −0. */
const ZERO: Intl.NumberFormatOptions = { signDisplay: 'negative' }
const SIGNED: Intl.NumberFormatOptions = { signDisplay: 'exceptZero' }
const MINUTE: Intl.DateTimeFormatOptions = { hourCycle: 'h23', hour: '2-digit', minute: '2-digit', timeZoneName: 'short' }
const TIME: Intl.DateTimeFormatOptions = { ...MINUTE, second: '2-digit' }
const SHORT_DAY: Intl.DateTimeFormatOptions = { month: 'short', day: 'numeric' }

/** Traders say ET, in winter and in summer. */
const US_ZONE = /\b([ECMP])[SD]T\b/

const digits = (least: number, most = least) => ({ minimumFractionDigits: least, maximumFractionDigits: most })

export type Format = ReturnType<typeof build>

/** Returns a function that calls `make` only once, when it is first called. */
function once<Made>(make: () => Made): () => Made {
  let made: Made | undefined
  return () => (made ??= make())
}

/** The formats in use: one for each combination, as making one takes longer than a frame has. */
const built = new Map<string, Format>()

/** Returns the functions of this file for a locale and a time zone; throws a `RangeError` for one that does not exist. */
export function createFormat({ locale = LOCALE, timeZone = ZONE }: FormatOptions = {}): Format {
  const key = `${locale} ${timeZone}`
  const known = built.get(key) ?? build(locale, timeZone)
  built.set(key, known)
  return known
}

function build(locale: string, timeZone: string) {
  const numbers = (options: Intl.NumberFormatOptions) => {
    const made = once(() => new Intl.NumberFormat(locale, options))
    return (value: Known) => (value == null ? UNKNOWN : made().format(value).replace('-', '−'))
  }
  const dates = (options: Intl.DateTimeFormatOptions) => {
    const made = once(() => new Intl.DateTimeFormat(locale, options))
    return (at: Date | number) => made().format(at).replace(US_ZONE, '$1T')
  }
  // These throw for a locale and a zone that do not exist; the formats are made when they are first used.
  Intl.getCanonicalLocales(locale)
  if (timeZone !== ZONE) new Intl.DateTimeFormat(LOCALE, { timeZone })

  const time = dates({ ...TIME, timeZone })
  const shortTime = dates({ ...MINUTE, timeZone })
  const datedTime = dates({ ...TIME, timeZone, weekday: 'short', ...SHORT_DAY })
  const date = dates({ timeZone: 'UTC', dateStyle: 'medium' })
  const dateOfYear = dates({ timeZone: 'UTC', ...SHORT_DAY })
  const weekdayOfYear = dates({ timeZone: 'UTC', ...SHORT_DAY, weekday: 'short' })
  const year = once(() => new Intl.DateTimeFormat(LOCALE, { timeZone, year: 'numeric' }))
  const inPercent = numbers(digits(2))
  const inTenthsOfPercent = numbers({ ...digits(1), ...ZERO })
  const inWholePercent = numbers({ ...digits(0), ...ZERO })
  const inSigmas = numbers({ ...digits(1), ...ZERO })
  const withCents = numbers({ ...DOLLARS, ...SIGNED })
  const withoutCents = numbers({ ...DOLLARS, ...SIGNED, ...digits(0) })
  const money = numbers(digits(2))
  const unit = (value: Known, text: (value: Known) => string, name: string) =>
    value == null ? UNKNOWN : `${text(value)} ${name}`
  const usd = numbers({ ...DOLLARS, ...digits(0), ...ZERO })
  const exactUsd = numbers({ ...DOLLARS, ...ZERO })
  const dollars = (value: Known) => (value != null && Number.isInteger(value) ? usd : exactUsd)(value)
  const isThisYear = (iso: string, now: number) => iso.slice(0, 4) === year().format(now)

  return {
    /** A price per share: as many decimals as it has, at least two. */
    price: numbers(digits(2, 4)),
    /** An amount of dollars, without naming them. */
    money,
    /** A profit or loss in dollars with its sign, without naming them. */
    signed: numbers({ ...digits(2), ...SIGNED }),
    /** A number with its sign and one decimal. */
    signedTenths: numbers({ ...digits(1), ...SIGNED }),
    /** An amount in whole dollars, such as $6,390. */
    usd,
    /** An amount in dollars, with cents only if it has some, such as $6,390 or $12.50. */
    dollars,
    /** A maximum loss in dollars; what has no bound is unlimited instead of unknown. */
    maxLoss: (value: Known, isUnbounded = false) => (value == null && isUnbounded ? 'unlimited' : dollars(value)),
    /** A profit or loss with its sign, such as −$511.00, or in whole dollars. */
    signedUsd: (value: Known, { cents = true }: { cents?: boolean } = {}) => (cents ? withCents : withoutCents)(value),
    /** A percentage with the sign of the profit or loss that it belongs to. */
    percent: (value: Known) => unit(value, inPercent, '%'),
    /** A percentage with one decimal, such as 3.6 %. */
    percentTenths: (value: Known) => unit(value, inTenthsOfPercent, '%'),
    /** A percentage without decimals, such as 54 %. */
    wholePercent: (value: Known) => unit(value, inWholePercent, '%'),
    /** A distance in standard deviations, such as 0.9 σ. */
    sigmas: (value: Known) => unit(value, inSigmas, 'σ'),
    /** A strike without trailing zeros. */
    strike: (value: number) => String(value),
    /** 2026-12-18 as Dec 18, 2026. */
    day: (iso: string) => date(new Date(iso)),
    /** 2026-12-18 as Dec 18, with the year where that is not the year of `now`. */
    shortDay: (iso: string, now: number) => (isThisYear(iso, now) ? dateOfYear : date)(new Date(iso)),
    /** 2026-12-18 as Fri, Dec 18, or with the year instead where that is not the year of `now`. */
    weekday: (iso: string, now: number) => (isThisYear(iso, now) ? weekdayOfYear : date)(new Date(iso)),
    /** A time as 14:31 ET. */
    minute: (at: string | number) => shortTime(new Date(at)),
    /** A time as 14:31:02 ET, with the day if it is over 12 hours from `now`. */
    clock(at: string | number, now: number) {
      const moment = new Date(at)
      return (Math.abs(now - moment.getTime()) > 12 * HOUR_MS ? datedTime : time)(moment)
    },
    /** How long ago `at` was, in its largest unit. */
    age(at: string | number, now: number) {
      const seconds = Math.max(0, Math.floor((now - new Date(at).getTime()) / 1000))
      const [size, name] = AGES.find(([size]) => seconds >= size) ?? [1, 's']
      return `${Math.floor(seconds / size)} ${name}`
    },
    /** Days to expiration in words. */
    daysLeft(days: number) {
      if (days < 0) return 'expired'
      return days === 0 ? 'expires today' : `${days} ${days === 1 ? 'day' : 'days'}`
    },
  }
}

/** The formats for US English and the exchange's time zone. */
export const format: Format = /* @__PURE__ */ createFormat()

export const {
  age, clock, day, daysLeft, maxLoss, money, percent, price, shortDay, sigmas, signed, signedTenths, signedUsd, strike, usd, wholePercent,
}: Format = format
