/**
 * A condor's profit or loss today, as a function of the price of the underlying: European Black-Scholes-Merton, priced as
 * by the daemon (condord/core/model), with the implied volatility of each leg.
 *
 * All options are priced as European, American ones too. Time counts in minutes, of which a year has 525,600. If a
 * dividend is known, the price is less its present value; only otherwise the dividend yield counts.
 */
import type { Condor, Leg, Status, Underlying } from './document'

/** The assumptions in force, `status.model`. */
export type CurveModel = Pick<Status['model'], 'rate' | 'dividendYields'>

export interface CurveAt {
  /** Prices of the underlying, in dollars. */
  prices: readonly number[]
  /**
   * The time to compute for, in milliseconds since 1970. The default is the time of the daemon's own figures
   * (`risk.asOf`): this minute while the market is open, else the last close.
   */
  now?: number | undefined
  /** The next dividend of the underlying, `underlyings[].exDividend`. */
  exDividend?: Underlying['exDividend'] | undefined
}

interface Conditions {
  years: number
  rate: number
  dividendYield: number
  /** The present value of the dividend until the expiration. */
  paid: number
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const YEAR_MS = 525_600 * MINUTE_MS
/** An adjusted contract, such as XOM2, delivers something that the document does not contain. */
const ADJUSTED = /\d$/

/**
 * Returns the profit or loss of the whole quantity in dollars at each price. Null where it is not known: a leg has no
 * implied volatility, the credit is not known, the contracts are adjusted or have settled.
 */
export function riskCurve(condor: Condor, model: CurveModel, at: CurveAt): (number | null)[] {
  const conditions = conditionsOf(condor, model, at)
  const volatilities = new Map(condor.risk.legs.map(({ symbol, iv }) => [symbol, iv]))
  const legs = condor.legs.map((leg) => ({ leg, volatility: volatilities.get(leg.symbol) ?? 0 }))
  if (!conditions || condor.credit === null || ADJUSTED.test(condor.root) || legs.some(({ volatility }) => volatility <= 0)) {
    return at.prices.map(() => null)
  }
  const received = condor.credit * condor.quantity
  return at.prices.map((price) => {
    const spot = price - conditions.paid
    if (!(spot > 0)) return null
    let net = received
    for (const { leg, volatility } of legs) net += signed(leg) * optionPrice(leg, volatility, spot, conditions)
    return net * condor.multiplier
  })
}

const signed = ({ side, quantity }: Leg) => (side === 'long' ? quantity : -quantity)

function conditionsOf(condor: Condor, model: CurveModel, at: CurveAt): Conditions | null {
  const asOf = at.now === undefined ? Date.parse(condor.risk.asOf ?? '') : Math.floor(at.now / MINUTE_MS) * MINUTE_MS
  const years = (Date.parse(condor.expiry?.settlesAt ?? '') - asOf) / YEAR_MS
  if (!(years > 0)) return null
  const paid = paidDividend(condor, model.rate, asOf, at.exDividend)
  return { years, rate: model.rate, dividendYield: paid ? 0 : (model.dividendYields[condor.underlying] ?? 0), paid }
}

/** Returns the present value of a dividend with an ex-date after the day of `asOf` and up to the expiration; else 0. */
function paidDividend({ expiration }: Condor, rate: number, asOf: number, dividend: CurveAt['exDividend']): number {
  if (!dividend || dividend.date > expiration) return 0
  const exAt = midnight(dividend.date)
  return exAt > asOf ? dividend.amount * Math.exp((-rate * (exAt - asOf)) / YEAR_MS) : 0
}

/** Made for the first dividend. */
let hour: Intl.DateTimeFormat | undefined

/** Returns when `date` begins at the exchange: at 4:00 UTC in summer, else at 5:00. */
function midnight(date: string): number {
  const summer = Date.parse(date) + 4 * HOUR_MS
  hour ??= new Intl.DateTimeFormat('en-US', { timeZone: 'America/New_York', hourCycle: 'h23', hour: 'numeric' })
  return Number(hour.format(summer)) === 0 ? summer : summer + HOUR_MS
}

/** Returns the price of an option in dollars per share; `volatility` and `spot` are above zero. */
function optionPrice({ right, strike }: Leg, volatility: number, spot: number, conditions: Conditions): number {
  const { years, rate, dividendYield } = conditions
  const sign = right === 'call' ? 1 : -1
  const deviation = volatility * Math.sqrt(years)
  const d1 = (Math.log(spot / strike) + (rate - dividendYield) * years) / deviation + deviation / 2
  const held = spot * Math.exp(-dividendYield * years) * normal(sign * d1)
  return sign * (held - strike * Math.exp(-rate * years) * normal(sign * (d1 - deviation)))
}

const NUMERATOR = [
  3.52624965998911e-2, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871, 221.213596169931,
  220.206867912376,
]
const DENOMINATOR = [
  8.83883476483184e-2, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674, 637.333633378831,
  793.826512519948, 440.413735824752,
]
/** From here on the continued fraction is used. */
const FAR = 7.07106781186547
const ROOT_TWO_PI = Math.sqrt(2 * Math.PI)

const polynomial = (coefficients: number[], x: number) => coefficients.reduce((sum, each) => sum * x + each, 0)

/** The standard normal distribution (Hart's algorithm 5666, as given by G. West in "Better approximations", 2005). */
function normal(x: number): number {
  const far = Math.abs(x)
  const density = Math.exp((-far * far) / 2)
  const tail =
    far < FAR
      ? (density * polynomial(NUMERATOR, far)) / polynomial(DENOMINATOR, far)
      : density / (far + 1 / (far + 2 / (far + 3 / (far + 4 / (far + 0.65))))) / ROOT_TWO_PI
  return x > 0 ? 1 - tail : tail
}
