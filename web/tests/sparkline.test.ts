import { describe, expect, it } from 'vitest'
import { sparkline } from '../src/sparkline'

describe('the line of the session', () => {
  it('is not drawn before there are two points', () => {
    expect(sparkline(undefined, 100, 20)).toBeNull()
    expect(sparkline(null, 100, 20)).toBeNull()
    expect(sparkline({ seconds: [60], cents: [100] }, 100, 20)).toBeNull()
  })

  it('goes over the width by time, and over the height by value', () => {
    const line = sparkline({ seconds: [0, 60, 240], cents: [-1000, 1000, 0] }, 102, 22)!
    expect(line.points).toBe('1,21 26,1 101,11')
    expect(line.zero).toBe(11)
    expect([line.low, line.high]).toEqual([-10, 10])
  })

  it('has the line of zero at its edge where all was gain', () => {
    expect(sparkline({ seconds: [0, 60], cents: [500, 1000] }, 102, 22)!.zero).toBe(21)
  })

  it('is flat where nothing happened', () => {
    expect(sparkline({ seconds: [0, 60], cents: [0, 0] }, 102, 22)!.points).toBe('1,11 101,11')
  })
})
