import { describe, expect, it } from 'vitest'
import type { Delta, Document, Quote, Unmatched } from '../src/document'
import { apply } from '../src/stream'
import { AS_OF, condor, document, quote, status, totals, valuation } from './account'
import { chance } from './world'

const contract = (symbol: string, mark: number): Unmatched => ({
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
  uncoveredShort: false,
  multiplierAssumed: false,
  problem: 'not an option symbol',
})
const delta = (changes: Partial<Delta>): Delta => ({ asOf: AS_OF, quotes: [], valuations: [], unmatched: [], ...changes })

/** The contract as plainly as it can be said: copy everything, then look for each key. */
function plainly(before: Document, change: Delta, id: string): Document {
  const after = structuredClone(before)
  after.version = id
  after.asOf = change.asOf
  if (change.totals) after.totals = change.totals
  if (change.status) after.status = change.status
  for (const part of ['quotes', 'unmatched'] as const) {
    const items: { symbol: string }[] = after[part]
    for (const item of change[part]) {
      const at = items.findIndex((each) => each.symbol === item.symbol)
      if (at < 0) items.push(item)
      else items[at] = item
    }
  }
  for (const value of change.valuations) {
    for (const each of after.condors) if (each.id === value.id) each.valuation = value
  }
  return after
}

describe('the document after an event', () => {
  it('is nothing before the first snapshot', () => {
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

  it('leaves what has not changed the same object', () => {
    const before = document('e-1', [condor('SPY'), condor('QQQ')])
    const changed = before.condors[0]!
    const after = apply(before, { event: 'delta', id: 'e-2', data: delta({ valuations: [valuation(changed.id)] }) })!
    expect(after.condors[0]).not.toBe(changed)
    expect(after.condors[1]).toBe(before.condors[1])
    expect(after.quotes).toBe(before.quotes)
    expect(after.totals).toBe(before.totals)
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('is what the contract says after any deltas (chance %i)', (seed) => {
    const next = chance(seed)
    const some = <Item>(items: Item[]) => items.filter(() => next() < 0.3)
    const condors = ['SPY', 'QQQ', 'IWM'].map((root) => condor(root))
    let held: Document | null = document('e-0', condors, { unmatched: [contract('A', 1), contract('B', 2)] })
    let model = structuredClone(held)
    const symbols = [...held.quotes.map((each) => each.symbol), 'NEW1', 'NEW2']
    for (let step = 1; step <= 50; step++) {
      const id = `e-${step}`
      const quotes: Quote[] = some(symbols).map((symbol) => quote(symbol, { bid: next(), mark: next() }))
      const data = delta({
        asOf: new Date(Date.parse(AS_OF) + step).toISOString(),
        quotes,
        valuations: some(condors).map((each) => valuation(each.id, { mark: next() })),
        unmatched: some(['A', 'B', 'C']).map((symbol) => contract(symbol, next())),
        ...(next() < 0.5 && { totals: totals({ unrealizedPl: next() }) }),
        ...(next() < 0.2 && { status: status({ state: 'stale' }) }),
      })
      held = apply(held, { event: 'delta', id, data: structuredClone(data) })
      model = plainly(model, data, id)
      expect(held).toEqual(model)
    }
  })
})
