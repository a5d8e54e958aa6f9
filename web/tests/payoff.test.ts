import { describe, expect, it } from 'vitest'
import type { Condor } from '../src/document'
import { payoff } from '../src/payoff'
import { condor } from './account'

const at = (position: Condor) => payoff(position)!.points.map(({ price, pl }) => [price, pl])

function long(): Condor {
  const legs = condor().legs.map((leg) => ({ ...leg, side: leg.side === 'long' ? ('short' as const) : ('long' as const) }))
  return condor('SPY', { legs, direction: 'long', credit: -3.21 })
}

describe('the payoff at expiration', () => {
  it('has its corners at the strikes and crosses zero at the breakevens', () => {
    expect(at(condor())).toEqual([
      [686.25, -1358],
      [705, -1358],
      [711.79, 0],
      [715, 642],
      [770, 642],
      [773.21, 0],
      [780, -1358],
      [798.75, -1358],
    ])
  })

  it('is between the daemon\'s maximum loss and maximum profit', () => {
    const position = condor()
    const { low, high } = payoff(position)!
    expect([low, high]).toEqual([-position.maxLoss!, position.maxProfit])
  })

  it('of a long condor mirrors the short one\'s', () => {
    expect(at(long()).map(([price, pl]) => [price, 0 - pl!])).toEqual(at(condor()))
  })

  it('lists the short strikes', () => {
    expect(payoff(condor())!.shortStrikes).toEqual([715, 770])
    expect(payoff(long())!.shortStrikes).toEqual([705, 780])
  })

  it('of a butterfly has one short strike', () => {
    const legs = condor().legs.map((leg) => (leg.side === 'short' ? { ...leg, strike: 740 } : leg))
    expect(payoff(condor('SPY', { legs }))!.shortStrikes).toEqual([740])
  })

  it('has no breakeven on a side without a loss', () => {
    expect(payoff(condor('SPY', { breakevens: { lower: null, upper: 773.21 } }))!.breakevens).toEqual([773.21])
  })

  it('reaches beyond the price of the underlying', () => {
    const ends = (price: number) => [payoff(condor(), price)!.points[0]!.price, payoff(condor(), price)!.points.at(-1)!.price]
    expect(ends(742)).toEqual([686.25, 798.75])
    expect(ends(650)).toEqual([642.5, 798.75])
    expect(ends(850)).toEqual([686.25, 857.5])
  })

  it('is unknown without a credit', () => {
    expect(payoff(condor('SPY', { credit: null }))).toBeNull()
  })
})
