/**
 * Decides how long the daemon may say nothing before the connection is taken for dead: three heartbeats.
 *
 * What a heartbeat is, the daemon is not asked but heard: from the times of two in a row, which are its own, as a tab
 * that was paused hears old ones in one go. Until then, and after a cut, as the daemon may have other settings now, it
 * is at least 35 s, which is enough for the usual 10 s.
 */
import type { StreamEvent } from './document'

const UNKNOWN_MS = 35_000
const LONGEST_MS = 10 * UNKNOWN_MS
const SHORTEST_MS = 1000
const HEARTBEATS = 3

export class Patience {
  /** Of the tabs that share a stream, all have that of the one that holds it. */
  ms = UNKNOWN_MS
  private beatAt: number | null = null

  /** Takes note of an event that came. */
  heard(event: StreamEvent) {
    if (event.event !== 'heartbeat') return
    const at = Date.parse(event.data.asOf)
    if (this.beatAt !== null && at > this.beatAt) this.ms = Math.max(SHORTEST_MS, HEARTBEATS * (at - this.beatAt))
    this.beatAt = at
  }

  /** Nothing came for so long: a daemon with a slower heartbeat gets twice as long. */
  wasSilent() {
    this.ms = Math.min(2 * this.ms, LONGEST_MS)
  }

  /** The connection has ended. */
  wasCut() {
    this.beatAt = null
    this.ms = Math.max(this.ms, UNKNOWN_MS)
  }
}
