import { describe, expect, it } from 'vitest'
import type { Delta, Document, Quote, Unmatched } from '../src/document'
import { apply } from '../src/stream'
import { AS_OF, alert, broken, condor, document, quote, risk, status, totals, underlying, valuation } from './account'
import { chance } from './world'

const contract = (symbol: string, mark: number, changes: Partial<Unmatched> = {}): Unmatched => ({
  symbol,
  underlying: null,
  root: null,
  expiration: null,
  right: null,
  strike: null,
  side: null,
  quantity: 1,
  multiplier: null,
  averageEntryPrice: null,
  costBasis: null,
  mark,
  unrealizedPl: null,
  dayPl: null,
  uncoveredShort: false,
  cover: null,
  multiplierAssumed: false,
  problem: 'not an option symbol',
  ...changes,
})
const delta = (changes: Partial<Delta>): Delta => ({ asOf: AS_OF, quotes: [], valuations: [], unmatched: [], ...changes })

const order = { orderId: 'order', limitPrice: 1.2, quantity: 2, percentOfMaxProfit: 48.94, submittedAt: AS_OF }
const balances = (equity: number): NonNullable<Document['account']> => ({
  readAt: AS_OF,
  equity,
  lastEquity: 1,
  dayPl: null,
  cash: 1,
  buyingPower: 1,
  optionsBuyingPower: 1,
  maintenanceMargin: 1,
})

/** A plain reference implementation of the contract: it copies everything and searches for each key. */
function applyPlainly(before: Document, change: Delta, id: string): Document {
  const after = structuredClone(before)
  after.version = id
  after.asOf = change.asOf
  if (change.totals) after.totals = change.totals
  if (change.status) after.status = change.status
  if (change.account !== undefined) after.account = change.account
  for (const part of ['quotes', 'unmatched', 'underlyings'] as const) {
    const items: { symbol: string }[] = after[part]
    for (const item of change[part] ?? []) {
      const at = items.findIndex((entry) => entry.symbol === item.symbol)
      if (at < 0) items.push(item)
      else items[at] = item
    }
  }
  for (const alert of change.alerts ?? []) {
    const at = after.alerts.findIndex((entry) => entry.id === alert.id)
    if (at < 0) after.alerts.push(alert)
    else after.alerts[at] = alert
  }
  after.alerts = after.alerts.filter((entry) => !change.alertsGone?.includes(entry.id))
  for (const value of change.valuations) {
    for (const condor of after.condors) if (condor.id === value.id) condor.valuation = value
  }
  for (const risk of change.risks ?? []) {
    for (const condor of after.condors) if (condor.id === risk.id) condor.risk = risk
  }
  for (const { id, orders } of change.closing ?? []) {
    for (const condor of after.condors) if (condor.id === id) condor.closing = orders
  }
  for (const points of change.history ?? []) {
    for (const condor of after.condors) {
      if (condor.id === points.id) {
        condor.history.seconds.push(...points.seconds)
        condor.history.cents.push(...points.cents)
      }
    }
  }
  for (const broken of after.broken) {
    const cents = broken.legs.filter(({ held }) => held).map(({ symbol, held }) => {
      const { quantity, unrealizedPl } = after.unmatched.find((entry) => entry.symbol === symbol)!
      return unrealizedPl === null ? null : Math.floor((Math.round(unrealizedPl * 100) * held) / quantity! + 0.5)
    })
    broken.unrealizedPl = cents.some((part) => part === null) ? null : cents.reduce<number>((sum, part) => sum + part!, 0) / 100
  }
  return after
}

describe('the document after an event', () => {
  it('is null before the first snapshot', () => {
    expect(apply(null, { event: 'delta', id: 'e-1', data: delta({}) })).toBeNull()
  })

  it('is the snapshot', () => {
    const next = document('e-2', [])
    expect(apply(document('e-1'), { event: 'snapshot', id: 'e-2', data: next })).toBe(next)
  })

  it('is the same after a heartbeat and a bye', () => {
    const before = document('e-1')
    expect(apply(before, { event: 'heartbeat', data: { asOf: AS_OF } })).toBe(before)
    expect(apply(before, { event: 'bye', data: { reason: 'shutdown' } })).toBe(before)
  })

  it('keeps unchanged objects identical', () => {
    const before = document('e-1', [condor('SPY'), condor('QQQ')])
    const changed = before.condors[0]!
    const after = apply(before, { event: 'delta', id: 'e-2', data: delta({ valuations: [valuation(changed.id)] }) })!
    expect(after.condors[0]).not.toBe(changed)
    expect(after.condors[1]).toBe(before.condors[1])
    expect(after.quotes).toBe(before.quotes)
    expect(after.totals).toBe(before.totals)
  })

  it('replaces the risk and the closing orders of a condor, its underlying and the account', () => {
    const before = document('e-1', [condor('SPY'), condor('QQQ')])
    const { id } = before.condors[0]!
    const changed = {
      risks: [risk(id, { delta: 5 })],
      closing: [{ id, orders: [order] }],
      underlyings: [underlying('QQQ', { price: 600 })],
      account: balances(50_000),
    }
    const after = apply(before, { event: 'delta', id: 'e-2', data: delta(changed) })!
    expect(after.condors[0]).toEqual({ ...before.condors[0]!, risk: changed.risks[0], closing: [order] })
    expect(after.condors[0]!.valuation).toBe(before.condors[0]!.valuation)
    expect(after.condors[1]).toBe(before.condors[1])
    expect(after.underlyings).toEqual([before.underlyings[0], changed.underlyings[0]])
    expect(after.account).toBe(changed.account)
    expect(after).not.toHaveProperty('risks')
    expect(after).not.toHaveProperty('closing')
    const gone = apply(after, { event: 'delta', id: 'e-3', data: delta({ account: null, closing: [{ id, orders: [] }] }) })!
    expect(gone.account).toBeNull()
    expect(gone.condors[0]!.closing).toEqual([])
    expect(gone.underlyings).toBe(after.underlyings)
  })

  it('accepts a document of an older daemon without underlyings', () => {
    const { underlyings: _, ...older } = document('e-1')
    const after = apply(older as Document, { event: 'delta', id: 'e-2', data: delta({ underlyings: [underlying('SPY')] }) })!
    expect(after.underlyings).toEqual([underlying('SPY')])
  })

  it('appends new points without changing the earlier history', () => {
    const line = { seconds: [60], cents: [5] }
    const before = document('e-1', [condor('SPY', { history: line }), condor('QQQ')])
    const history = [{ id: before.condors[0]!.id, seconds: [120, 180], cents: [6, -7] }]
    const after = apply(before, { event: 'delta', id: 'e-2', data: delta({ history }) })!
    expect(after.condors[0]!.history).toEqual({ seconds: [60, 120, 180], cents: [5, 6, -7] })
    expect(after.condors[0]!.valuation).toBe(before.condors[0]!.valuation)
    expect(after.condors[1]).toBe(before.condors[1])
    expect(line).toEqual({ seconds: [60], cents: [5] })
    expect(after).not.toHaveProperty('history')
  })

  it.each([
    [[[2, 2, -62], [2, 2, 140.5]], 78.5],
    [[[1, 1, 0.1], [1, 1, 0.2]], 0.3],
    [[[3, 3, 0.0125]], 0.0125],
    [[[1, 3, 100]], 33.33],
    [[[2, 3, 100]], 66.67],
    [[[1, 2, 0.01]], 0.01],
    [[[1, 2, -0.01]], 0],
    [[[1, 2, -0.03]], -0.01],
    [[[1, 3, 100], [1, 3, 100]], 66.66],
    [[[1, 1, 5], [1, 2, null]], null],
    [[[1, null, 5]], null],
  ] as [[number, number | null, number | null][], number | null][])(
    'values what is left of a broken condor, %j, at %d',
    (parts, unrealizedPl) => {
      const held = Object.fromEntries(parts.map(([left], at) => [`S${at}`, left]))
      const entries = parts.map(([, quantity, pl], at) => contract(`S${at}`, 1, { quantity, unrealizedPl: pl }))
      const before = document('e-1', [], { broken: [broken('B', held)], unmatched: entries.map((entry) => contract(entry.symbol, 0)) })
      const after = apply(before, { event: 'delta', id: 'e-2', data: delta({ unmatched: entries }) })!
      expect(after.broken).toEqual([{ ...before.broken[0]!, unrealizedPl }])
    },
  )

  it('has no profit or loss for a broken condor without its entry', () => {
    const before = document('e-1', [], { broken: [{ ...broken('B', { A: 1 }), unrealizedPl: 5 }] })
    expect(apply(before, { event: 'delta', id: 'e-2', data: delta({}) })!.broken[0]!.unrealizedPl).toBeNull()
  })

  it('replaces, adds and removes alerts in the order of the document', () => {
    const at = (id: string, since: string) => alert(id, { since: `2026-11-20T15:31:0${since}Z` })
    const [old, middle, newest] = [at('old:SPY', '7'), at('middle:SPY', '7.25'), at('newest:SPY', '8')]
    const before = document('e-1', [condor()], { alerts: [middle, old] })
    const resolved = { ...middle, state: 'resolved' as const }
    const after = apply(before, { event: 'delta', id: 'e-2', data: delta({ alerts: [resolved, newest] }) })!
    expect(after.alerts).toEqual([newest, resolved, old])
    const same = at('a:SPY', '7')
    const data = delta({ alerts: [same], alertsGone: ['middle:SPY'] })
    const last = apply(after, { event: 'delta', id: 'e-3', data })!
    expect(last.alerts).toEqual([newest, same, old])
    expect(last).not.toHaveProperty('alertsGone')
    expect(apply(last, { event: 'delta', id: 'e-4', data: delta({}) })!.alerts).toBe(last.alerts)
    const { alerts: _, ...older } = before
    expect(apply(older as Document, { event: 'delta', id: 'e-2', data: delta({}) })!.alerts).toEqual([])
  })

  it('changes nothing for an alert event', () => {
    const before = document('e-1')
    expect(apply(before, { event: 'alert', data: alert('half:SPY') })).toBe(before)
  })

  it('keeps unchanged broken condors identical and accepts a document without any', () => {
    const unmatched = [contract('A', 1, { unrealizedPl: 5 }), contract('B', 1, { unrealizedPl: 6 })]
    const lost = [{ ...broken('one', { A: 1 }), unrealizedPl: 5 }, { ...broken('two', { B: 1 }), unrealizedPl: 6 }]
    const before = document('e-1', [], { broken: lost, unmatched })
    const still = apply(before, { event: 'delta', id: 'e-2', data: delta({ unmatched: [contract('A', 2, { unrealizedPl: 5 })] }) })!
    expect(still.broken).toBe(lost)
    const moved = apply(before, { event: 'delta', id: 'e-2', data: delta({ unmatched: [contract('A', 2, { unrealizedPl: 7 })] }) })!
    expect(moved.broken[0]!.unrealizedPl).toBe(7)
    expect(moved.broken[1]).toBe(lost[1])
    const { broken: _, ...older } = before
    expect(apply(older as Document, { event: 'delta', id: 'e-2', data: delta({}) })!.broken).toEqual([])
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('equals a reference implementation after random deltas (seed %i)', (seed) => {
    const next = chance(seed)
    const some = <Item>(items: Item[]) => items.filter(() => next() < 0.3)
    const condors = ['SPY', 'QQQ', 'IWM'].map((root) => condor(root))
    const left = (symbol: string, mark: number) =>
      contract(symbol, mark, { quantity: 2, unrealizedPl: mark < 0.1 ? null : Math.floor(mark * 10_000) / 100 })
    let held: Document | null = document('e-0', condors, {
      unmatched: [left('A', 1), left('B', 2)],
      alerts: ['a:SPY', 'b:SPY', 'c:SPY', 'd:SPY'].map((id) => alert(id)),
      broken: [{ ...broken('one', { A: 2, B: 1, C: 0 }), unrealizedPl: 200 }, { ...broken('two', { B: 1 }), unrealizedPl: 100 }],
    })
    let model = structuredClone(held)
    const symbols = [...held.quotes.map((quote) => quote.symbol), 'NEW1', 'NEW2']
    for (let step = 1; step <= 50; step++) {
      const id = `e-${step}`
      const quotes: Quote[] = some(symbols).map((symbol) => quote(symbol, { bid: next(), mark: next() }))
      const data = delta({
        asOf: new Date(Date.parse(AS_OF) + step).toISOString(),
        quotes,
        valuations: some(condors).map((condor) => valuation(condor.id, { mark: next() })),
        unmatched: some(['A', 'B', 'C']).map((symbol) => left(symbol, next())),
        ...(next() < 0.5 && { risks: some(condors).map(({ id }) => risk(id, { delta: next() })) }),
        ...(next() < 0.5 && { underlyings: some(['SPY', 'QQQ', 'IWM']).map((symbol) => underlying(symbol, { price: next() })) }),
        ...(next() < 0.3 && { closing: some(condors).map(({ id }) => ({ id, orders: some([order]) })) }),
        ...(next() < 0.3 && { account: next() < 0.3 ? null : balances(next()) }),
        ...(next() < 0.3 && { history: some(condors).map(({ id }) => ({ id, seconds: [step], cents: [next()] })) }),
        ...(next() < 0.5 && { totals: totals({ unrealizedPl: next() }) }),
        ...(next() < 0.3 && { alerts: some(['a:SPY', 'b:SPY']).map((alertId) => alert(alertId, { value: next() })) }),
        ...(next() < 0.3 && { alertsGone: some(['c:SPY', 'd:SPY']) }),
        ...(next() < 0.2 && { status: status({ state: 'stale' }) }),
      })
      held = apply(held, { event: 'delta', id, data: structuredClone(data) })
      model = applyPlainly(model, data, id)
      expect(held).toEqual(model)
    }
  })
})
