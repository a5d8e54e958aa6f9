import { describe, expect, it } from 'vitest'
import { broken, condor, risk, valuation } from '../../tests/account'
import type { Condor } from '../document'
import type { Severity } from '../firing'
import { finder } from './find'

const worth = (root: string, unrealizedPl: number | null, changes: Partial<Condor> = {}): Condor => {
  const one = condor(root, changes)
  return { ...one, valuation: valuation(one.id, { unrealizedPl }) }
}
const day = (root: string, expiration: string, daysToExpiration: number) => worth(root, 1, { expiration, daysToExpiration })

describe('Find', () => {
  const spy = worth('SPY', -5, { risk: risk('SPY', { tested: 'put', breached: true }) })
  const weekly = { ...worth('SPXW', 5), underlying: 'SPX' }
  const iwm = { ...day('IWM', '2027-01-15', 5), kind: 'ironButterfly', direction: 'long' } as Condor
  const qqq = day('QQQ', '2026-12-08', 15)
  const lost = { ...broken('AMD-261218-1', {}), underlying: 'AMD', root: 'AMD', expiration: '2026-12-11', daysToExpiration: 1 }
  const all = [spy, weekly, iwm, qqq, lost]
  const severities: Record<string, Severity> = { [spy.id]: 'critical', [iwm.id]: 'warning' }
  const found = (text: string) => all.filter((entry) => finder(text)(entry, severities[entry.id])).map(({ root }) => root)

  it.each([
    ['', ['SPY', 'SPXW', 'IWM', 'QQQ', 'AMD']],
    ['  spy ', ['SPY']],
    ['SPX', ['SPXW']],
    ['nothing', []],
    ['Dec 18', ['SPY', 'SPXW']],
    ['december 18', ['SPY', 'SPXW']],
    ['18 Dec', ['SPY', 'SPXW']],
    ['Dec 8', ['QQQ']],
    ['Dec 18, 2026', ['SPY', 'SPXW']],
    ['Dec 18 2027', []],
    ['dec', ['SPY', 'SPXW', 'QQQ', 'AMD']],
    ['2026-12-18', ['SPY', 'SPXW']],
    ['2027-01', ['IWM']],
    ['2027 jan', ['IWM']],
    ['broken', ['AMD']],
    ['losing', ['SPY']],
    ['los', ['SPY']],
    ['winning', ['SPXW', 'IWM', 'QQQ']],
    ['tested', ['SPY']],
    ['breached', ['SPY']],
    ['critical', ['SPY']],
    ['alert', ['SPY', 'IWM']],
    ['5 days', ['IWM']],
    ['5d', ['IWM']],
    ['1 day', ['AMD']],
    ['<5 days', ['AMD']],
    ['<= 5 days', ['IWM', 'AMD']],
    ['within 15 days', ['IWM', 'QQQ', 'AMD']],
    ['expiring', ['IWM', 'AMD']],
    ['tomorrow', ['AMD']],
    ['715', ['SPY', 'SPXW', 'IWM', 'QQQ']],
    ['77', ['SPY', 'SPXW', 'IWM', 'QQQ']],
    ['15', []],
    ['705-715 spy', ['SPY']],
    ['705/715/770 spy', ['SPY']],
    ['long butterfly', ['IWM']],
    ['short condor, winning', ['SPXW', 'QQQ']],
    ['spxw Dec 18', ['SPXW']],
    ['spxw Dec 18, losing', []],
    ['dec iwm', []],
  ] as const)('understands "%s"', (text, wanted) => expect(found(text)).toEqual(wanted))

  it('finds a broken wing, which is not a broken condor', () => {
    const wing = condor('IWM', { brokenWing: true })
    expect([wing, lost].map((entry) => finder('broken wing')(entry, undefined))).toEqual([true, false])
    expect([wing, lost].map((entry) => finder('broken')(entry, undefined))).toEqual([false, true])
  })

  it('takes an unknown month for a name', () => expect(finder('spy 705')(spy, undefined)).toBe(true))

  it('finds no sign where the profit or loss is not known', () => {
    const unknown = worth('XYZ', null)
    expect(['losing', 'winning'].map((word) => finder(word)(unknown, undefined))).toEqual([false, false])
  })
})
