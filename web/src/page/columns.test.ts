import { describe, expect, it } from 'vitest'
import { broken, condor, risk, valuation } from '../../tests/account'
import { chosenColumns, columnOf, COLUMNS, DEFAULT_KEYS, fitting, MARK_WIDTH, NAME_KEY } from './columns'

const keys = (columns: readonly { key: string }[]) => columns.map(({ key }) => key)
const text = (key: string, entry = condor(), isNarrow = false) => columnOf(key)!.text(entry, isNarrow)

describe('the columns', () => {
  it('are the default ones, or the chosen ones with the names, in one order', () => {
    expect(keys(chosenColumns(null))).toEqual(DEFAULT_KEYS)
    expect(keys(chosenColumns(['vega', 'pl', 'of another version']))).toEqual([NAME_KEY, 'pl', 'vega'])
  })

  it('leave in order of importance, and the names never', () => {
    const all = chosenColumns(null)
    expect(keys(fitting(all, Infinity))).toEqual(DEFAULT_KEYS)
    // In rem within the borders: windows of 1440, 1024, 390 and 320 pixels with their margins.
    expect(keys(fitting(all, (1440 - 66) / 16))).toEqual(DEFAULT_KEYS)
    expect(keys(fitting(all, (1024 - 66) / 16))).toEqual([NAME_KEY, 'expires', 'pl', 'today', 'percent', 'put', 'call'])
    expect(keys(fitting(all, (390 - 34) / 16))).toEqual([NAME_KEY, 'expires', 'pl'])
    expect(keys(fitting(all, (320 - 34) / 16))).toEqual([NAME_KEY, 'pl'])
    expect(keys(fitting(all, 1))).toEqual([NAME_KEY])
  })

  it('never leave when the window gets wider by so little, and never exceed it', () => {
    let before: string[] = []
    for (let width = 12; width < 200; width += 0.5) {
      const now = fitting(COLUMNS, width)
      if (width !== 40) expect(before.filter((key) => !keys(now).includes(key))).toEqual([])
      const narrow = width < 40
      const sum = now.reduce((total, column) => total + ((narrow && column.narrowWidth) || column.width), MARK_WIDTH)
      if (now.length > 1) expect(sum).toBeLessThanOrEqual(width)
      before = keys(now)
    }
    expect(before).toEqual(keys(COLUMNS))
  })

  it('have names and keys of their own', () => {
    expect(new Set(keys(COLUMNS)).size).toBe(COLUMNS.length)
    expect(new Set(COLUMNS.map(({ name }) => name)).size).toBe(COLUMNS.length)
  })
})

describe('the figures', () => {
  it('have units, signs and a base', () => {
    const shown = Object.fromEntries(COLUMNS.map(({ key }) => [key, text(key)]))
    expect(shown).toMatchObject({
      condor: 'SPY 705/715/770/780 ×2',
      expires: 'Dec 18 · 28 d',
      pl: '+$155.00',
      today: '+$18.50',
      percent: '24 %',
      price: '742.00',
      put: '27.00 · 0.9 σ',
      prob: '65 %',
      delta: '−3.2',
      theta: '+$11.80',
      close: '2.435',
      credit: '3.21 credit',
      maxLoss: '$1,358',
      worst: '−$120.00',
      target: '—',
      move: '29.14',
    })
  })

  it('name a debit, a credit and the root of adjusted contracts', () => {
    expect(text('credit', condor('SPY', { credit: -6.55 }))).toBe('6.55 debit')
    expect(text('close', condor('SPY', { valuation: valuation('x', { mark: -6.05 }) }))).toBe('6.05 cr')
    expect(text('condor', condor('XYZ1', { underlying: 'XYZ' }))).toContain('XYZ1 ')
  })

  it('distinguish an unlimited loss from an unknown one', () => {
    expect(text('maxLoss', condor('SPY', { maxLoss: null }))).toBe('unlimited')
    expect(text('maxLoss', condor('SPY', { maxLoss: null, credit: null }))).toBe('—')
  })

  it('show unknown values as a dash, and only the known values of a broken condor', () => {
    const nothing = { dollars: null, percent: null, sigmas: null }
    const unknown = condor('SPY', { risk: risk('x', { price: null, delta: null, distance: { put: nothing, call: nothing } }) })
    expect(['price', 'delta', 'put', 'call'].map((key) => text(key, unknown))).toEqual(['—', '—', '—', '—'])
    const lost = { ...broken('x', {}), unrealizedPl: -77 }
    const known = COLUMNS.filter((column) => column.text(lost) !== '—')
    expect(keys(known)).toEqual([NAME_KEY, 'expires', 'pl'])
    expect(columnOf('pl')!.text(lost)).toBe('−$77.00')
  })

  it('are shorter on a phone and where cents do not matter', () => {
    expect([text('expires', condor(), true), text('pl', condor(), true)]).toEqual(['28 d', '+$155'])
    expect(text('pl', condor('SPY', { valuation: valuation('x', { unrealizedPl: -12345.5 }) }))).toBe('−$12,346')
  })

  it('name the year of an expiration only where the days left do not tell it', () => {
    const far = condor('SPY', { expiration: '2027-11-19', daysToExpiration: 364 })
    expect(text('expires', far)).toBe('Nov 19, 2027 · 364 d')
    expect(text('expires', condor('SPY', { expiration: '2027-01-15', daysToExpiration: 46 }))).toBe('Jan 15 · 46 d')
    expect(text('expires', condor('SPY', { daysToExpiration: 0 }))).toBe('Dec 18 · today')
    expect(text('expires', condor('SPY', { daysToExpiration: -1 }))).toBe('Dec 18 · expired')
  })
})
