import { describe, expect, it } from 'vitest'
import { SilenceLimit } from '../src/silenceLimit'

/** The limit after heartbeats at these seconds of the daemon's clock. */
function after(...beats: number[]) {
  const silenceLimit = new SilenceLimit()
  for (const at of beats) silenceLimit.record({ event: 'heartbeat', data: { asOf: new Date(at * 1000).toISOString() } })
  return silenceLimit
}

describe('the silence limit', () => {
  it('is 35 s while the heartbeat interval is unknown', () => {
    expect(after().ms).toBe(35_000)
    expect(after(10).ms).toBe(35_000)
  })

  it('is three heartbeat intervals by the daemon\'s clock', () => {
    expect(after(0, 10).ms).toBe(30_000)
    expect(after(0, 60).ms).toBe(180_000)
    expect(after(0, 60, 65).ms).toBe(15_000)
  })

  it('is at least a second', () => expect(after(0, 0.1).ms).toBe(1000))

  it('ignores a repeated heartbeat', () => {
    expect(after(10, 10).ms).toBe(35_000)
    expect(after(0, 10, 10).ms).toBe(30_000)
    expect(after(0, 10, 10, 15).ms).toBe(15_000)
  })

  it('ignores a clock that was set back', () => {
    expect(after(0, 10, 5).ms).toBe(30_000)
    expect(after(0, 10, 5, 7).ms).toBe(6000)
  })

  it('ignores an invalid time', () => {
    const silenceLimit = after(0)
    silenceLimit.record({ event: 'heartbeat', data: { asOf: 'soon' } })
    expect(silenceLimit.ms).toBe(35_000)
  })

  it('ignores other events', () => {
    const silenceLimit = after(0)
    silenceLimit.record({ event: 'bye', data: { reason: 'shutdown' } })
    expect(silenceLimit.ms).toBe(35_000)
  })

  it('doubles with each silence, up to ten times the default', () => {
    const silenceLimit = after()
    const grows = [1, 2, 3, 4, 5].map(() => (silenceLimit.extend(), silenceLimit.ms))
    expect(grows).toEqual([70_000, 140_000, 280_000, 350_000, 350_000])
  })

  it('is at least 35 s after a reset and measures no interval across it', () => {
    const silenceLimit = after(0, 1)
    silenceLimit.reset()
    expect(silenceLimit.ms).toBe(35_000)
    silenceLimit.record({ event: 'heartbeat', data: { asOf: new Date(100_000).toISOString() } })
    expect(silenceLimit.ms).toBe(35_000)
    const slow = after(0, 60)
    slow.reset()
    expect(slow.ms).toBe(180_000)
  })
})
