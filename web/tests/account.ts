/** A document as the daemon sends it, to be varied. */
import type { Condor, Document, Leg, Quote, Status, Totals, Valuation } from '../src/document'

export const AS_OF = '2026-11-20T15:31:00Z'

/** Of a daemon that has just been started. */
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
    percentOfMaxProfit: 24.14,
    percentOfRisk: 11.41,
    missing: [],
    unconfirmed: false,
    legs: [],
    plBounds: null,
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
    history: { seconds: [], cents: [] },
    valuation: valuation(id, { legs: legs.map(({ symbol }) => ({ symbol, unrealizedPl: 38.75 })) }),
    ...changes,
  }
}

export function quote(symbol: string, changes: Partial<Quote> = {}): Quote {
  const sides = { bid: 2.63, bidSize: 11, ask: 2.66, askSize: 9, mark: 2.645 }
  return { symbol, ...sides, state: 'twoSided', time: '2026-11-20T15:30:58Z', unconfirmed: false, ...changes }
}

export const totals = (changes: Partial<Totals> = {}): Totals => ({
  condors: 1,
  incomplete: 0,
  unrealizedPl: 155,
  naturalPl: 146,
  unmatchedPl: 0,
  maxLoss: 1358,
  byUnderlying: [],
  ...changes,
})

export function document(version: string, condors: Condor[] = [condor()], changes: Partial<Document> = {}): Document {
  const quotes = condors.flatMap((each) => each.legs.map(({ symbol }) => quote(symbol)))
  return { version, asOf: AS_OF, status: status(), condors, unmatched: [], quotes, totals: totals(), ...changes }
}

/** Of a condor without quotes for the legs `missing`. */
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
