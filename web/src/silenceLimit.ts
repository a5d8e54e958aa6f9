/**
 * How long the daemon may send nothing before the connection counts as dead: three heartbeats.
 *
 * Their interval is the difference between the times in two heartbeats. It is not measured on arrival, as a tab that was
 * paused receives several old ones at once. Until it is known the limit is 35 s, enough for the default interval of 10 s;
 * after a lost connection it is at least that, as the daemon may have other settings now.
 */
import type { StreamEvent } from './document'

const UNKNOWN_MS = 35_000
const MAX_MS = 10 * UNKNOWN_MS
const MIN_MS = 1000
const HEARTBEATS = 3

export class SilenceLimit {
  /** Tabs that share a stream all have the limit of the tab that holds it. */
  ms = UNKNOWN_MS
  private heartbeatAt: number | null = null

  /** Records an event that arrived. */
  record(event: StreamEvent) {
    if (event.event !== 'heartbeat') return
    const at = Date.parse(event.data.asOf)
    if (this.heartbeatAt !== null && at > this.heartbeatAt) this.ms = Math.max(MIN_MS, HEARTBEATS * (at - this.heartbeatAt))
    this.heartbeatAt = at
  }

  /** Doubles the limit after a silence of that length, as the daemon may have a slower heartbeat. */
  extend() {
    this.ms = Math.min(2 * this.ms, MAX_MS)
  }

  /** Forgets the interval after a connection has ended. */
  reset() {
    this.heartbeatAt = null
    this.ms = Math.max(this.ms, UNKNOWN_MS)
  }
}
