/**
 * Keeps a stream open: it is opened again whenever it ends.
 *
 * An EventSource reconnects by itself if the server ends the stream. If the answer is not a stream (401, 503, a proxy's
 * 502) it gives up. Then a new one is opened with exponential backoff; its URL has the last event id, as a new
 * EventSource sends no Last-Event-ID header. A stream that sends nothing, not even heartbeats, is replaced in the same way.
 *
 * The link is open from the first event on, which the daemon sends at once, even if nothing was missed.
 *
 * With tickets the browser must not reconnect, because it would send a used ticket: the first error closes the
 * EventSource, and the next one gets a new ticket.
 */
import type { StreamEvent } from './document'
import type { Environment, Source } from './environment'
import type { Link } from './live'
import type { SilenceLimit } from './silenceLimit'
import { isRefusal, type Ticket } from './tickets'

export const FIRST_WAIT_MS = 1000
export const MAX_WAIT_MS = 30_000
/** The `retry:` that the daemon sends; an EventSource does not expose it to scripts. */
export const RETRY_MS = 2000
/** A ticket that takes longer counts as a failure. */
export const TICKET_LIMIT_MS = 10_000

/** Receives what a stream delivers. */
export interface Listener {
  event(event: StreamEvent): void
  link(state: Link['state'], retryAt: number | null): void
}

const NAMES = ['snapshot', 'delta', 'alert', 'heartbeat', 'bye'] as const
const CLOSED = 2

/**
 * Follows the stream at `url` after the version `from`, if the daemon can still resume there. A connection that is silent
 * for longer than `silenceLimit` counts as dead. Each attempt begins with a new `ticket`, if that is given. Returns a
 * function that closes the stream.
 */
export function connect(
  url: string,
  from: string | null,
  silenceLimit: SilenceLimit,
  listener: Listener,
  environment: Environment,
  ticket?: Ticket,
): () => void {
  let version = from
  let failures = 0
  let hasEvents = false
  let cancel = () => {}
  /** Ends the current attempt in any phase. */
  let end = () => {}

  function attempt() {
    if (ticket) void fetchTicket(ticket)
    else open(null)
  }

  async function fetchTicket(ticket: Ticket) {
    const fetching = new AbortController()
    end = () => fetching.abort()
    cancel = environment.after(TICKET_LIMIT_MS, reopen)
    try {
      const given = await ticket(fetching.signal)
      if (!fetching.signal.aborted) open(given)
    } catch (error) {
      if (!fetching.signal.aborted) reopen(isRefusal(error))
    }
  }

  function open(ticket: string | null) {
    const address = new URL(url)
    if (ticket) address.searchParams.set('ticket', ticket)
    if (version) address.searchParams.set('lastEventId', version)
    const source: Source = environment.open(address.href)
    end = () => source.close()
    // Not yet open for the link: a proxy may answer at once and buffer what the daemon sends.
    source.addEventListener('open', wait)
    source.addEventListener('error', () => {
      if (ticket || source.readyState === CLOSED) return reopen()
      hasEvents = false
      silenceLimit.reset()
      wait()
      listener.link('reconnecting', null)
    })
    for (const name of NAMES) source.addEventListener(name, (message) => receive(name, message))
    wait()
  }

  function receive(name: StreamEvent['event'], message: MessageEvent<string>) {
    let data: unknown
    try {
      data = JSON.parse(message.data)
    } catch {
      // The event is lost, so the next connection has to begin with a snapshot.
      version = null
      return reopen()
    }
    version = message.lastEventId || version
    const event = { event: name, id: version, data } as StreamEvent
    silenceLimit.record(event)
    wait()
    failures = 0
    listener.event(event)
    if (!hasEvents && name !== 'bye') listener.link('open', null)
    hasEvents = name !== 'bye'
  }

  /** Reopens the stream if no event arrives in time. */
  function wait() {
    cancel()
    cancel = environment.after(silenceLimit.ms, () => {
      silenceLimit.extend()
      reopen()
    })
  }

  function reopen(isRefused = false) {
    close()
    hasEvents = false
    silenceLimit.reset()
    const waitMs = isRefused ? MAX_WAIT_MS : nextWaitMs()
    cancel = environment.after(waitMs, attempt)
    listener.link(isRefused ? 'refused' : 'reconnecting', environment.now() + waitMs)
  }

  function nextWaitMs() {
    const longest = Math.min(FIRST_WAIT_MS * 2 ** failures++, MAX_WAIT_MS)
    const jitter = environment.random() / 2
    // With tickets no sooner than a browser would reconnect by itself.
    return Math.max(longest * (0.5 + jitter), ticket ? RETRY_MS * (1 + jitter) : 0)
  }

  function close() {
    cancel()
    end()
  }

  // Another tab may have set it, for a connection that has ended.
  silenceLimit.reset()
  attempt()
  return close
}
