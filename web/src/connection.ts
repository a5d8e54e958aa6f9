/**
 * Keeps a stream open: it is opened again whenever it ends.
 *
 * An EventSource reconnects by itself if the server ends the stream. If the answer is not a stream (401, 503, a proxy's
 * 502) it gives up. Then a new one is opened with exponential backoff; its URL has the last event id, as a new
 * EventSource sends no Last-Event-ID header. A stream that sends nothing, not even heartbeats, is replaced in the same way.
 *
 * The link is open from the first event on, which the daemon sends at once, even if nothing was missed.
 *
 * If nothing arrives, the daemon is asked why, see explain.ts; after a connection that was open, only from the second
 * failure on, as a restart is not an error.
 *
 * With tickets the browser must not reconnect, because it would send a used ticket: the first error closes the
 * EventSource, and the next one gets a new ticket.
 */
import type { StreamEvent } from './document'
import type { Environment, Source } from './environment'
import { explain, failedTicket, refusedTicket, STATUS_LIMIT_MS, type LinkError } from './explain'
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
  /** `error` is why the state is not `open`. It is missing while unknown; a second call then brings it. */
  link(state: Link['state'], retryAt: number | null, error?: LinkError): void
}

/** A stream that is kept open. */
export interface Connection {
  /** Tries again now if the next attempt is only due later. */
  retry(): void
  close(): void
}

const NAMES = ['snapshot', 'delta', 'alert', 'heartbeat', 'bye'] as const
const CLOSED = 2

/**
 * Follows the stream at `url` after the version `from`, if the daemon can still resume there. A connection that is silent
 * for longer than `silenceLimit` counts as dead. Each attempt begins with a new `ticket`, if that is given.
 */
export function connect(
  url: string,
  from: string | null,
  silenceLimit: SilenceLimit,
  listener: Listener,
  environment: Environment,
  ticket?: Ticket,
): Connection {
  let version = from
  let failures = 0
  let hasEvents = false
  /** Whether the daemon has ever answered this page. */
  let isKnown = false
  /** Failures since the last event. */
  let losses = 0
  let error: LinkError | undefined
  /** Cancels the request that asks why there is no connection. */
  let cancelRequest = () => {}
  let isWaiting = false
  let cancel = () => {}
  /** Ends the current attempt in any phase. */
  let end = () => {}

  function attempt() {
    isWaiting = false
    if (ticket) void fetchTicket(ticket)
    else open(null)
  }

  async function fetchTicket(ticket: Ticket) {
    const fetching = new AbortController()
    end = () => fetching.abort()
    cancel = environment.after(TICKET_LIMIT_MS, () => reopen(failedTicket('it takes too long')))
    try {
      const given = await ticket(fetching.signal)
      if (!fetching.signal.aborted) open(given)
    } catch (cause) {
      if (!fetching.signal.aborted) reopen(isRefusal(cause) ? refusedTicket(url) : failedTicket(cause))
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
      lose('reconnecting', null)
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
    losses = 0
    isKnown = true
    error = undefined
    cancelRequest()
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

  /** Opens another connection later; `cause` is why there was no ticket. */
  function reopen(cause?: LinkError) {
    end()
    hasEvents = false
    silenceLimit.reset()
    const isRefused = cause?.code === 'token'
    lose(isRefused ? 'refused' : 'reconnecting', retryIn(isRefused ? MAX_WAIT_MS : nextWaitMs()), cause)
  }

  /** Returns the time of the next attempt, after `waitMs`. */
  function retryIn(waitMs: number): number {
    cancel()
    cancel = environment.after(waitMs, attempt)
    isWaiting = true
    return environment.now() + waitMs
  }

  /** Reports a lost connection, and asks why. */
  function lose(state: Link['state'], retryAt: number | null, cause?: LinkError) {
    cancelRequest()
    error = cause ?? error
    losses += 1
    listener.link(state, retryAt, error)
    if (state !== 'refused' && losses > Number(isKnown)) void ask(retryAt, cause)
  }

  async function ask(retryAt: number | null, cause?: LinkError) {
    const asking = new AbortController()
    const stop = environment.after(STATUS_LIMIT_MS, () => asking.abort())
    let isOver = false
    cancelRequest = () => {
      isOver = true
      stop()
      asking.abort()
    }
    const found = await explain(url, { hasTickets: ticket !== undefined, isKnown }, environment, asking.signal)
    stop()
    if (isOver) return
    isKnown ||= found.code !== 'origin'
    // Where condord answers, it is the function for tickets that has failed.
    error = found.code === 'stream' ? (cause ?? found) : found
    if (error.code !== 'token') return listener.link('reconnecting', retryAt, error)
    // Only the request for the status has shown this refusal. The attempt that is due sooner would be refused as well.
    listener.link('refused', isWaiting ? retryIn(MAX_WAIT_MS) : retryAt, error)
  }

  function nextWaitMs() {
    const longest = Math.min(FIRST_WAIT_MS * 2 ** failures++, MAX_WAIT_MS)
    const jitter = environment.random() / 2
    // With tickets, reconnect no sooner than a browser would by itself.
    return Math.max(longest * (0.5 + jitter), ticket ? RETRY_MS * (1 + jitter) : 0)
  }

  function close() {
    cancelRequest()
    cancel()
    end()
  }

  function retry() {
    if (!isWaiting) return
    cancel()
    attempt()
  }

  // Another tab may have set it, for a connection that has ended.
  silenceLimit.reset()
  attempt()
  return { retry, close }
}
