import { describe, expect, it } from 'vitest'
import { age, clock, day, daysLeft, money, percent, price, signed } from '../src/format'

const NOW = Date.parse('2026-11-20T19:31:05Z')

describe('numbers', () => {
  it('that are unknown are an em dash, never a zero', () => {
    for (const show of [price, money, signed, percent]) {
      expect(show(null)).toBe('—')
      expect(show(undefined)).toBe('—')
      expect(show(0)).not.toBe('—')
    }
  })

  it('have a sign if they are gains or losses', () => {
    expect([155, -65, 0].map(signed)).toEqual(['+155.00', '−65.00', '0.00'])
  })

  it('that are prices keep their precision', () => {
    expect([2.5, 2.435, 0.0125, -6].map(price)).toEqual(['2.50', '2.435', '0.0125', '−6.00'])
  })

  it('are grouped by thousands', () => {
    expect(money(13580)).toBe('13,580.00')
    expect(percent(-24.14)).toBe('−24.14 %')
  })
})

describe('times', () => {
  it('are in the exchange\'s zone, which they name', () => {
    expect(clock('2026-11-20T19:31:02Z', NOW)).toBe('14:31:02 EST')
  })

  it('of another day include the day', () => {
    expect(clock('2026-11-23T14:30:00Z', NOW)).toBe('Mon, Nov 23, 09:30:00 EST')
  })

  it('become ages in their largest unit', () => {
    const ages = [0, 59, 60, 3599, 3600, 86_400].map((seconds) => age(NOW - seconds * 1000, NOW))
    expect(ages).toEqual(['0 s', '59 s', '1 min', '59 min', '1 h', '1 d'])
  })

  it('in the future have age 0', () => {
    expect(age(NOW + 500, NOW)).toBe('0 s')
  })

  it('of expiration are days, independent of the reader\'s time zone', () => {
    expect(day('2026-12-18')).toBe('Dec 18, 2026')
    expect([28, 1, 0, -1].map(daysLeft)).toEqual(['28 days', '1 day', 'expires today', 'expired'])
  })
})
