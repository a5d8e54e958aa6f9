import { describe, expect, it } from 'vitest'
import { condor, totals, valuation } from '../../tests/account'
import type { Condor } from '../document'
import { allAnnounced, announcement } from './announcement'

/** A condor with a maximum profit of 642, of which a twentieth is 32.10. */
function worth(root: string, unrealizedPl: number | null, changes: Partial<Condor> = {}): Condor {
  const one = condor(root, changes)
  return { ...one, valuation: valuation(one.id, { unrealizedPl }) }
}

const held = (condors: Condor[]) => new Map(condors.map((each) => [each.id, each]))
const announced = (before: Condor[], now: Condor[], sum: number | null = 155) =>
  announcement(allAnnounced(before), held(now), totals({ unrealizedPl: sum })).text

describe('the announcement', () => {
  it('is empty while nothing changes', () => {
    expect(announced([worth('SPY', 1)], [worth('SPY', 1)])).toBe('')
    expect(announced([worth('SPY', null)], [worth('SPY', null)])).toBe('')
    expect(announced([], [])).toBe('')
  })

  it('has the total and a condor that moved by more than a twentieth of its maximum profit', () => {
    expect(announced([worth('SPY', 100), worth('QQQ', 0)], [worth('SPY', 132.11), worth('QQQ', -32)])).toBe(
      'Total P/L +155.00. SPY Dec 18, 2026, 715 and 770, +132.11, up 32.11.',
    )
    expect(announced([worth('SPY', 100)], [worth('SPY', 132.1)])).toBe('')
    expect(announced([worth('SPY', 100)], [worth('SPY', -100)], -5)).toBe(
      'Total P/L −5.00. SPY Dec 18, 2026, 715 and 770, −100.00, down 200.00.',
    )
  })

  it('omits a move of exactly a twentieth', () => {
    const round = { maxProfit: 1000 }
    expect(announced([worth('SPY', 0, round)], [worth('SPY', 50, round)])).toBe('')
    expect(announced([worth('SPY', 0, round)], [worth('SPY', 50.01, round)])).toContain('up 50.01')
  })

  it('names the inner strike of a butterfly once', () => {
    const legs = condor().legs.map((leg, at) => (at === 2 ? { ...leg, strike: 715 } : leg))
    const butterfly = { kind: 'ironButterfly', legs } as const
    expect(announced([], [worth('SPY', 1, butterfly)])).toBe('Total P/L +155.00. New: SPY Dec 18, 2026, 715, +1.00.')
  })

  it('adds up small moves', () => {
    const first = announcement(allAnnounced([worth('SPY', 0)]), held([worth('SPY', 20)]), totals())
    expect(first.text).toBe('')
    const second = announcement(first.after, held([worth('SPY', 40)]), totals())
    expect(second.text).toContain('+40.00, up 40.00.')
    expect(announcement(second.after, held([worth('SPY', 50)]), totals()).text).toBe('')
  })

  it('compares with the maximum loss without a maximum profit, and is empty without both', () => {
    const hopeless = { maxProfit: -10, maxLoss: 1000 }
    expect(announced([worth('SPY', 0, hopeless)], [worth('SPY', -49, hopeless)])).toBe('')
    expect(announced([worth('SPY', 0, hopeless)], [worth('SPY', -51, hopeless)])).toContain('down 51.00')
    const level = { maxProfit: 0, maxLoss: 1000 }
    expect(announced([worth('SPY', 0, level)], [worth('SPY', -49, level)])).toBe('')
    expect(announced([worth('SPY', 0, level)], [worth('SPY', -51, level)])).toContain('down 51.00')
    const unknown = { maxProfit: null, maxLoss: null }
    expect(announced([worth('SPY', 0, unknown)], [worth('SPY', -500, unknown)])).toBe('')
  })

  it('names a value that becomes unknown or known', () => {
    expect(announced([worth('SPY', 1)], [worth('SPY', null)], null)).toBe(
      'Total P/L unknown. SPY Dec 18, 2026, 715 and 770, unknown.',
    )
    expect(announced([worth('SPY', null)], [worth('SPY', 1)])).toBe(
      'Total P/L +155.00. SPY Dec 18, 2026, 715 and 770, +1.00.',
    )
  })

  it('names new and removed condors', () => {
    expect(announced([worth('SPY', 1)], [worth('QQQ', 2)], 2)).toBe(
      'Total P/L +2.00. New: QQQ Dec 18, 2026, 715 and 770, +2.00. Gone: SPY Dec 18, 2026, 715 and 770.',
    )
  })

  it('puts new and removed condors before moves, in the daemon\'s order', () => {
    const text = announced(
      [worth('A', 0), worth('B', 0), worth('C', 0)],
      [worth('A', 100), worth('N', 1), worth('B', 300), worth('M', 1)],
    )
    expect(text.match(/(\w+: )?[A-Z](?= Dec)/g)).toEqual(['New: N', 'New: M', 'Gone: C', 'B', 'A'])
  })

  it('names the five largest moves and counts the rest', () => {
    const roots = ['A', 'B', 'C', 'D', 'E', 'F', 'G']
    const text = announced(
      roots.map((root) => worth(root, 0)),
      roots.map((root, at) => worth(root, 50 * (at + 1))),
    )
    expect(text.match(/\b[A-G](?= Dec)/g)).toEqual(['G', 'F', 'E', 'D', 'C'])
    expect(text.endsWith('up 150.00. And 2 more.')).toBe(true)
  })
})
