import { describe, expect, it } from 'vitest'
import { age, clock, createFormat, day, daysLeft, format, maxLoss, money, percent, price, shortDay, sigmas, signed, signedUsd, usd, wholePercent } from '../src/format'

const NOW = Date.parse('2026-11-20T19:31:05Z')

describe('numbers', () => {
  it('that are unknown are an em dash, never a zero', () => {
    for (const show of [price, money, signed, percent, usd, signedUsd, maxLoss, wholePercent, sigmas] as ((value?: number | null) => string)[]) {
      expect(show(null)).toBe('—')
      expect(show(undefined)).toBe('—')
      expect(show(0)).not.toBe('—')
    }
  })

  it('have a sign if they are gains or losses', () => {
    expect([155, -65, 0].map(signed)).toEqual(['+155.00', '−65.00', '0.00'])
    expect([155, -511, 0].map((value) => signedUsd(value))).toEqual(['+$155.00', '−$511.00', '$0.00'])
    expect([1155.4, -511, -0.4].map((value) => signedUsd(value, { cents: false }))).toEqual(['+$1,155', '−$511', '$0'])
  })

  it('that are prices keep their precision', () => {
    expect([2.5, 2.435, 0.0125, -6].map(price)).toEqual(['2.50', '2.435', '0.0125', '−6.00'])
  })

  it('are grouped by thousands', () => {
    expect(money(13580)).toBe('13,580.00')
    expect(percent(-24.14)).toBe('−24.14 %')
  })
})

describe('headlines', () => {
  it('have no digits beyond their accuracy', () => {
    expect([6390, 6389.5, 0, -20.2, -0.2].map((value) => usd(value))).toEqual(['$6,390', '$6,390', '$0', '−$20', '$0'])
    expect([54.3, -12.5, 0.4, -0.4].map((value) => wholePercent(value))).toEqual(['54 %', '−13 %', '0 %', '0 %'])
    expect([0.9, 1.25, -0.42, -0.01].map((value) => sigmas(value))).toEqual(['0.9 σ', '1.3 σ', '−0.4 σ', '0.0 σ'])
  })

  it('distinguish a loss without a bound from an unknown one', () => {
    expect([maxLoss(1358), maxLoss(null), maxLoss(null, true), maxLoss(1358, true)]).toEqual(['$1,358', '—', 'unlimited', '$1,358'])
  })

  it('name the year of a day only if it is another one', () => {
    expect(shortDay('2026-12-18', NOW)).toBe('Dec 18')
    expect(shortDay('2027-01-15', NOW)).toBe('Jan 15, 2027')
    // By the exchange's clock it is still 2026.
    expect(shortDay('2026-12-31', Date.parse('2027-01-01T04:59:59Z'))).toBe('Dec 31')
  })
})

describe('another locale and time zone', () => {
  const berlin = createFormat({ locale: 'de-DE', timeZone: 'Europe/Berlin' })
  const plain = (text: string) => text.replace(/\s/g, ' ')

  it('change numbers, dates and times', () => {
    expect(berlin.money(13580)).toBe('13.580,00')
    expect(plain(berlin.usd(6390))).toBe('6.390 $')
    expect(plain(berlin.signedUsd(-511))).toBe('−511,00 $')
    expect(berlin.wholePercent(54.3)).toBe('54 %')
    expect(berlin.day('2026-12-18')).toBe('18.12.2026')
    expect(berlin.clock('2026-11-20T19:31:02Z', NOW)).toBe('20:31:02 MEZ')
  })

  it('can be given alone', () => {
    expect(createFormat({ timeZone: 'UTC' }).clock('2026-11-20T19:31:02Z', NOW)).toBe('19:31:02 UTC')
    expect(createFormat({ locale: 'de-DE' }).clock('2026-11-20T19:31:02Z', NOW)).toMatch(/^14:31:02 /)
  })

  it('are created once', () => {
    expect(createFormat({ locale: 'de-DE', timeZone: 'Europe/Berlin' })).toBe(berlin)
    expect(createFormat()).not.toBe(berlin)
  })

  it.each([{ locale: 'no_such' }, { timeZone: 'Mars/Olympus' }])('that do not exist are refused: %o', (options) => {
    expect(() => createFormat(options)).toThrow(RangeError)
  })
})

describe('times', () => {
  it('are in the exchange\'s zone, which they name', () => {
    expect(clock('2026-11-20T19:31:02Z', NOW)).toBe('14:31:02 ET')
    expect(format.minute('2026-07-20T19:31:02Z')).toBe('15:31 ET')
  })

  it('of another day include the day', () => {
    expect(clock('2026-11-23T14:30:00Z', NOW)).toBe('Mon, Nov 23, 09:30:00 ET')
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
