/** Builders for the daemon's document. */
import { nextTick } from 'vue'
import { vi } from 'vitest'
import type { Alert, Broken, Condor, Document, Leg, Quote, Risk, Status, Totals, Underlying, Unmatched, Valuation } from '../src/document'

export const AS_OF = '2026-11-20T15:31:00Z'

/** The state of a daemon that has just been started. */
export const UNREAD: Status['positions'] = { readAt: null, error: null, breaker: 'closed' }

export function status(changes: Partial<Status> = {}): Status {
  return {
    state: 'live',
    reason: null,
    code: null,
    since: '2026-11-20T14:30:00Z',
    source: 'simulator',
    feed: 'indicative',
    market: { isOpen: true, nextOpen: '2026-11-23T14:30:00Z', nextClose: '2026-11-20T21:00:00Z' },
    stream: { connected: true, subscribed: 4, requested: 4, reconnects: 0, lastMessageAt: AS_OF, nextAttemptAt: null },
    positions: { readAt: AS_OF, error: null, breaker: 'closed' },
    notices: [],
    model: { rate: 0.04, dividendYields: { SPX: 0.012 }, dayCount: 'minutes/525600' },
    ...changes,
  }
}

function leg(root: string, right: 'put' | 'call', strike: number, side: 'long' | 'short', quantity: number): Leg {
  const symbol = `${root}261218${right[0]!.toUpperCase()}${String(strike * 1000).padStart(8, '0')}`
  const costBasis = side === 'long' ? 528 : -852
  const entry = { averageEntryPrice: 2.64, costBasis, multiplierAssumed: false, problem: null }
  return { symbol, right, strike, side, quantity, ...entry }
}

export function valuation(id: string, changes: Partial<Valuation> = {}): Valuation {
  return {
    id,
    asOf: '2026-11-20T15:30:58Z',
    mark: 2.435,
    natural: 2.48,
    unrealizedPl: 155,
    naturalPl: 146,
    dayPl: 18.5,
    worstPl: -120,
    bestPl: 260,
    percentOfMaxProfit: 24.14,
    percentOfRisk: 11.41,
    missing: [],
    unconfirmed: false,
    legs: [],
    plBounds: null,
    ...changes,
  }
}

export function risk(id: string, changes: Partial<Risk> = {}): Risk {
  const side = { dollars: 27, percent: 3.64, sigmas: 0.9 }
  const probabilities = { profit: 64.8, maxProfit: 61, maxLoss: 24.5, touchPut: 67, touchCall: 11.8 }
  return {
    id,
    asOf: '2026-11-20T15:30:00Z',
    price: 742,
    delta: -3.2,
    gamma: -0.41,
    theta: 11.8,
    vega: -20.1,
    legs: [],
    distance: { put: side, call: side },
    tested: 'none',
    breached: false,
    expectedMove: 29.14,
    probabilities: { ...probabilities, profitByCredit: 76.5, profitByDelta: 62 },
    missing: [],
    ...changes,
  }
}

export function underlying(symbol: string, changes: Partial<Underlying> = {}): Underlying {
  return {
    symbol,
    price: 742,
    source: 'iexMid',
    time: '2026-11-20T15:30:58Z',
    unconfirmed: false,
    reason: null,
    previousClose: 740,
    change: 2,
    percentChange: 0.27,
    shares: 0,
    delta: -3.2,
    gamma: -0.41,
    theta: 11.8,
    vega: -20.1,
    exDividend: null,
    ...changes,
  }
}

/** A short condor of 705, 715, 770 and 780, twice, for a credit of 3.21. */
export function condor(root = 'SPY', changes: Partial<Condor> = {}): Condor {
  const id = `${root}-261218-705-715-770-780`
  const legs = [
    leg(root, 'put', 705, 'long', 2),
    leg(root, 'put', 715, 'short', 2),
    leg(root, 'call', 770, 'short', 2),
    leg(root, 'call', 780, 'long', 2),
  ]
  return {
    id,
    kind: 'ironCondor',
    direction: 'short',
    underlying: root,
    root,
    expiration: '2026-12-18',
    daysToExpiration: 28,
    quantity: 2,
    multiplier: 100,
    style: 'american',
    settlement: 'pm',
    brokenWing: false,
    ambiguous: false,
    legs,
    credit: 3.21,
    maxProfit: 642,
    maxLoss: 1358,
    putWidth: 10,
    callWidth: 10,
    breakevens: { lower: 711.79, upper: 773.21 },
    entrySource: 'orders',
    openedAt: null,
    realizedPl: 0,
    expiry: { lastTradingAt: '2026-12-18T21:15:00Z', settlesAt: '2026-12-18T21:15:00Z', cutoffs: [] },
    closing: [],
    exits: { target: null, stop: null },
    risk: risk(id),
    history: { seconds: [], cents: [] },
    valuation: valuation(id, { legs: legs.map(({ symbol }) => ({ symbol, unrealizedPl: 38.75 })) }),
    ...changes,
  }
}

export function alert(id: string, changes: Partial<Alert> = {}): Alert {
  const subject = { id, rule: id.split(':')[0]!, condorId: null, underlying: 'SPY' }
  const state = { severity: 'warning', state: 'firing', since: AS_OF, until: null } as const
  const facts = { value: 0.2, threshold: 0.25, basis: null, text: `${id} fires`, atStart: false, acknowledgedAt: null }
  return { ...subject, ...state, ...facts, ...changes }
}

/** A condor of which `held` contracts are left, by symbol, of `quantity`. */
export function broken(id: string, held: Record<string, number>, quantity = 2): Broken {
  const { kind, direction, underlying, root, expiration, daysToExpiration } = condor()
  const legs = Object.entries(held).map(([symbol, left]) => {
    return { symbol, right: 'put', strike: 705, side: 'long', quantity, held: left } as const
  })
  const facts = { kind, direction, underlying, root, expiration, daysToExpiration, quantity, openedAt: null, expiry: null }
  return { id, ...facts, legs, missing: [], unrealizedPl: null, since: AS_OF }
}

export function quote(symbol: string, changes: Partial<Quote> = {}): Quote {
  const sides = { bid: 2.63, bidSize: 11, ask: 2.66, askSize: 9, mark: 2.645 }
  return { symbol, ...sides, state: 'twoSided', time: '2026-11-20T15:30:58Z', unconfirmed: false, ...changes }
}

/** A contract in no condor: a short put of AMD that nothing covers. */
export const unmatched = (changes: Partial<Unmatched> = {}): Unmatched => ({
  symbol: 'AMD270115P00395000',
  underlying: 'AMD',
  root: 'AMD',
  expiration: '2027-01-15',
  right: 'put',
  strike: 395,
  side: 'short',
  quantity: 1,
  multiplier: 100,
  averageEntryPrice: 16.35,
  costBasis: -1635,
  mark: null,
  unrealizedPl: null,
  dayPl: null,
  uncoveredShort: true,
  cover: null,
  multiplierAssumed: false,
  problem: null,
  ...changes,
})

export const totals = (changes: Partial<Totals> = {}): Totals => ({
  condors: 1,
  incomplete: 0,
  unrealizedPl: 155,
  naturalPl: 146,
  dayPl: 18.5,
  unmatchedPl: 0,
  unmatchedDayPl: 0,
  closedDayPl: 0,
  maxLoss: 1358,
  theta: 11.8,
  riskIncomplete: 0,
  alerts: { critical: 0, warning: 0, info: 0 },
  byUnderlying: [],
  ...changes,
})

export function document(version: string, condors: Condor[] = [condor()], changes: Partial<Document> = {}): Document {
  const quotes = condors.flatMap((condor) => condor.legs.map(({ symbol }) => quote(symbol)))
  const account = { account: null, underlyings: [...new Set(condors.map((condor) => condor.underlying))].map((each) => underlying(each)) }
  return { version, asOf: AS_OF, status: status(), ...account, condors, broken: [], unmatched: [], quotes, alerts: [], totals: totals(), ...changes }
}

/** The valuation of a condor without quotes for the legs `missing`. */
export const without = (missing: string[]): Valuation =>
  valuation(condor().id, {
    mark: null,
    natural: null,
    unrealizedPl: null,
    naturalPl: null,
    percentOfMaxProfit: null,
    percentOfRisk: null,
    missing,
    legs: condor().legs.map(({ symbol }) => ({ symbol, unrealizedPl: missing.includes(symbol) ? null : 10 })),
  })

/** Waits until what is loaded only when it is needed has been loaded and shown. */
export async function loaded() {
  await nextTick()
  await vi.dynamicImportSettled()
  await nextTick()
}
