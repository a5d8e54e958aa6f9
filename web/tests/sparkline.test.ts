import { describe, expect, it } from 'vitest'
import type { History } from '../src/document'
import { sparkline } from '../src/sparkline'

/** Builds a history from minutes after 09:30:00 ET on a Friday, each with its cents. */
const BEGIN = Date.parse('2026-11-20T14:30:00Z') / 1000
const history = (...points: [minute: number, cents: number][]): History => ({
  seconds: points.map(([minute]) => BEGIN + minute * 60),
  cents: points.map(([, cents]) => cents),
})
const line = (of: History | undefined, current: number | null = null, minute = 0, maxProfit: number | null = null) =>
  sparkline(of, current, (BEGIN + minute * 60) * 1000, 102, 22, maxProfit)

describe('the line of the session', () => {
  it('is not drawn before there are two points', () => {
    expect(line(undefined)).toBeNull()
    expect(line(history())).toBeNull()
    expect(line(history(), 5)).toBeNull()
    expect(line(history([1, 100]))).toBeNull()
  })

  it('maps time to the width and value to the height', () => {
    const { path, zero } = line(history([0, -1000], [1, 1000], [2, 0], [4, 0]))!
    expect([path, zero]).toEqual(['M1 21L26 1L51 11L101 11', 11])
  })

  it('uses the whole height for its moves, without zero if it was never crossed', () => {
    const { path, zero } = line(history([0, 48_400], [1, 48_500], [2, 48_450]))!
    expect([path, zero]).toEqual(['M1 21L51 1L101 11', null])
    expect(line(history([0, -500], [1, -400]))!.zero).toBeNull()
    expect(line(history([0, 0], [1, -400]))!.zero).toBe(1)
  })

  it('is flat without moves', () => {
    expect(line(history([0, 0], [1, 0]))!.path).toBe('M1 11L101 11')
  })

  it('does not fill the height with moves under a fiftieth of the maximum profit', () => {
    const session = history([0, 48_400], [1, 48_900])
    expect(line(session, null, 0, 250)!.path).toBe('M1 21L101 1')
    expect(line(session, null, 0, 500)!.path).toBe('M1 16L101 6')
  })

  it.each([null, 0, -10])('does not fill it with moves under a dollar without a maximum profit (%s)', (maxProfit) => {
    const { path, zero } = line(history([0, 10], [1, 60]), null, 0, maxProfit)!
    expect([path, zero]).toEqual(['M1 16L101 6', 18])
    expect(line(history([0, 60], [1, 110]), null, 0, maxProfit)!.zero).toBeNull()
  })

  it('has a gap if more than two points are missing', () => {
    expect(line(history([0, 0], [2.5, 0], [5.1, 0], [6, 0], [10, 0]))!.path).toBe('M1 11L26 11M52 11L61 11M101 11')
    expect(line(history([0, 0], [10, 0]))).toBeNull()
  })

  it('draws the extremes of each two pixels of a whole session, with its ends and its gaps', () => {
    const minutes = Array.from({ length: 401 }, (_, at) => at).filter((at) => at < 200 || at > 205)
    const value = (at: number) => (at === 300 ? 5000 : at === 302 ? -5000 : (at * 7) % 97)
    const { path } = line(history(...minutes.map((at): [number, number] => [at, value(at)])))!
    const points = path.slice(1).split(/[ML]/).map((point) => point.split(' ').map(Number))
    expect(points.length).toBeLessThan(2 * 51 + 4)
    expect(points[0]![0]).toBe(1)
    expect(points.at(-1)![0]).toBe(101)
    expect(points.filter(([, y]) => y === 1 || y === 21)).toEqual([[76, 1], [76.5, 21]])
    expect(path.match(/M/g)).toHaveLength(2)
    expect(points.map(([x]) => x)).toEqual(points.map(([x]) => x).toSorted((one, other) => one! - other!))
  })

  it('is the same through a minute of a whole session while nothing moves', () => {
    const session = history(...Array.from({ length: 391 }, (_, at): [number, number] => [at, at % 9]))
    const paths = Array.from({ length: 60 }, (_, second) => line(session, 3, 390 + second / 60)!.path)
    expect(new Set(paths).size).toBeLessThanOrEqual(2)
  })

  it('ends at the current value', () => {
    const { path, texts } = line(history([0, 0], [1, 1000]), 20, 2)!
    expect(path).toBe('M1 21L51 11L101 1')
    expect(texts).toEqual(['P/L by the minute since 09:30:00 ET: change +20.00', 'low 0.00, high +20.00'])
  })

  it('can consist of its first point and the current value', () => {
    expect(line(history([0, 0]), 10, 1)!.path).toBe('M1 21L101 1')
  })

  it('is not joined to the current value across a gap', () => {
    const session = history([0, 0], [1, 1000])
    expect(line(session, 20, 60 * 24 * 3)!.path).toBe('M1 21L101 1')
  })

  it('never goes back if the reader\'s clock is behind', () => {
    expect(line(history([0, 0], [1, 1000]), 20, -5)!.path).toBe('M1 21L101 11L101 1')
  })

  it('is described by its beginning, its change and its extremes', () => {
    const session = history([0, -500], [1, -1500], [2, 1000])
    expect(line(session, null, 3)!.texts).toEqual([
      'P/L by the minute since 09:30:00 ET: change +15.00',
      'low −15.00, high +10.00',
    ])
    expect(line(session, null, 60 * 24)!.texts[0]).toBe('P/L by the minute since Fri, Nov 20, 09:30:00 ET: change +15.00')
  })
})
