import { describe, expect, it } from 'vitest'
import { Patience } from '../src/patience'

/** One that has heard heartbeats at these seconds of the daemon's clock. */
function after(...beats: number[]) {
  const patience = new Patience()
  for (const at of beats) patience.heard({ event: 'heartbeat', data: { asOf: new Date(at * 1000).toISOString() } })
  return patience
}

describe('patience', () => {
  it('is 35 s while the interval of heartbeats is not known', () => {
    expect(after().ms).toBe(35_000)
    expect(after(10).ms).toBe(35_000)
  })

  it('is three times what lies between two heartbeats by the clock of the daemon', () => {
    expect(after(0, 10).ms).toBe(30_000)
    expect(after(0, 60).ms).toBe(180_000)
    expect(after(0, 60, 65).ms).toBe(15_000)
  })

  it('is a second at least', () => expect(after(0, 0.1).ms).toBe(1000))

  it('learns nothing from the same heartbeat heard twice', () => {
    expect(after(10, 10).ms).toBe(35_000)
    expect(after(0, 10, 10).ms).toBe(30_000)
    expect(after(0, 10, 10, 15).ms).toBe(15_000)
  })

  it('learns nothing from a clock that was set back', () => {
    expect(after(0, 10, 5).ms).toBe(30_000)
    expect(after(0, 10, 5, 7).ms).toBe(6000)
  })

  it('learns nothing from what is no time', () => {
    const patience = after(0)
    patience.heard({ event: 'heartbeat', data: { asOf: 'soon' } })
    expect(patience.ms).toBe(35_000)
  })

  it('learns nothing from other events', () => {
    const patience = after(0)
    patience.heard({ event: 'bye', data: { reason: 'shutdown' } })
    expect(patience.ms).toBe(35_000)
  })

  it('doubles with each silence, up to ten times', () => {
    const patience = after()
    const grows = [1, 2, 3, 4, 5].map(() => (patience.wasSilent(), patience.ms))
    expect(grows).toEqual([70_000, 140_000, 280_000, 350_000, 350_000])
  })

  it('is 35 s at least after a cut, and does not learn across it', () => {
    const patience = after(0, 1)
    patience.wasCut()
    expect(patience.ms).toBe(35_000)
    patience.heard({ event: 'heartbeat', data: { asOf: new Date(100_000).toISOString() } })
    expect(patience.ms).toBe(35_000)
    const slow = after(0, 60)
    slow.wasCut()
    expect(slow.ms).toBe(180_000)
  })
})
