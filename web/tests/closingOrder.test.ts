import { describe, expect, it } from 'vitest'
import { closingOrder } from '../src/closingOrder'
import type { Condor, Leg } from '../src/document'
import { condor, valuation } from './account'

const flipped = { long: 'short', short: 'long' } as const
const worth = (mark: number | null, natural: number | null) => ({ valuation: valuation('x', { mark, natural }) })
const legs = (change: (leg: Leg) => Partial<Leg>) => condor().legs.map((leg) => ({ ...leg, ...change(leg) }))
const body = (changes: Partial<Condor> = {}, price: 'mid' | 'natural' = 'mid') =>
  JSON.parse(closingOrder(condor('SPY', changes), { price })!.json) as Record<string, unknown>

describe('Alpaca\'s order', () => {
  it('closes all legs of a short condor for a debit', () => {
    expect(body()).toEqual({
      order_class: 'mleg',
      type: 'limit',
      time_in_force: 'day',
      qty: '2',
      limit_price: '2.44',
      legs: [
        { symbol: 'SPY261218P00705000', ratio_qty: '1', side: 'sell', position_intent: 'sell_to_close' },
        { symbol: 'SPY261218P00715000', ratio_qty: '1', side: 'buy', position_intent: 'buy_to_close' },
        { symbol: 'SPY261218C00770000', ratio_qty: '1', side: 'buy', position_intent: 'buy_to_close' },
        { symbol: 'SPY261218C00780000', ratio_qty: '1', side: 'sell', position_intent: 'sell_to_close' },
      ],
    })
  })

  it('has the price that closes now', () => {
    expect(body({}, 'natural')['limit_price']).toBe('2.48')
  })

  it('closes a long condor for a credit, which is negative', () => {
    const long = body({ direction: 'long', credit: -3.21, legs: legs(({ side }) => ({ side: flipped[side] })), ...worth(-2.435, -2.4) })
    expect(long['limit_price']).toBe('-2.43')
    expect((long['legs'] as { side: string }[]).map(({ side }) => side)).toEqual(['buy', 'sell', 'sell', 'buy'])
  })

  it('has ratios in lowest terms', () => {
    const ratios = body({ legs: legs(({ side }) => ({ quantity: side === 'long' ? 6 : 4 })) })
    expect(ratios['qty']).toBe('2')
    expect((ratios['legs'] as { ratio_qty: string }[]).map(({ ratio_qty }) => ratio_qty)).toEqual(['3', '2', '2', '3'])
  })

  it('keeps both legs at the strike of a butterfly', () => {
    const strikes = [705, 740, 740, 775]
    const wings = condor().legs.map((leg, at) => ({ ...leg, strike: strikes[at]!, symbol: `SPY261218${leg.right === 'put' ? 'P' : 'C'}00${strikes[at]}000` }))
    const symbols = (body({ kind: 'ironButterfly', legs: wings })['legs'] as { symbol: string }[]).map(({ symbol }) => symbol)
    expect(symbols).toEqual(['SPY261218P00705000', 'SPY261218P00740000', 'SPY261218C00740000', 'SPY261218C00775000'])
  })

  it.each([
    [1.005, '1.01'],
    [1.0049, '1.00'],
    [8.575, '8.58'],
    [-1.005, '-1.00'],
    [0.004, '0.00'],
    [-0.004, '0.00'],
  ])('has a limit of whole cents: %d as %s', (mark, limit) => {
    expect(body(worth(mark, null))['limit_price']).toBe(limit)
  })

  it('does not exist without a price', () => {
    expect(closingOrder(condor('SPY', worth(null, 2.48)), { price: 'mid' })).toBeNull()
    expect(closingOrder(condor('SPY', worth(2.4, null)), { price: 'natural' })).toBeNull()
  })
})

describe('the text', () => {
  it('names the order, its price and each leg', () => {
    expect(closingOrder(condor(), { price: 'mid' })!.text).toBe(
      [
        'Close 2 SPY iron condors, limit a debit of 2.44, day order',
        'Sell to close 2 SPY Dec 18, 2026 705 put',
        'Buy to close 2 SPY Dec 18, 2026 715 put',
        'Buy to close 2 SPY Dec 18, 2026 770 call',
        'Sell to close 2 SPY Dec 18, 2026 780 call',
      ].join('\n'),
    )
  })

  it.each([
    [-2.4, 'limit a credit of 2.40'],
    [0, 'limit even'],
  ])('calls %d a %s', (mark, words) => {
    expect(closingOrder(condor('SPY', { kind: 'ironButterfly', ...worth(mark, null) }), { price: 'mid' })!.text).toContain(
      `iron butterflies, ${words}`,
    )
  })
})
