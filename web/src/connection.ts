/**
 * Decides when the stream is opened, and opened again.
 *
 * A browser's EventSource comes back by itself where the server ends the stream, and gives up for good where the answer
 * is none of a stream: 401, 503, a proxy's 502. Then a new one is opened, with growing waits, and told in its address
 * where to go on, as it would send no header. So it is where a stream stands open and says nothing, not even heartbeats.
 * The link is open from the first event on, with which the daemon answers at once, also who has missed nothing.
 */
import type { StreamEvent } from './document'
import type { Environment, Source } from './environment'
import type { Link } from './live'
import type { Patience } from './patience'

export const FIRST_WAIT_MS = 1000
export const LONGEST_WAIT_MS = 30_000

/** Who hears a stream. */
export interface Listener {
  event(event: StreamEvent): void
  link(state: Link['state'], retryAt: number | null): void
}

const NAMES = ['snapshot', 'delta', 'heartbeat', 'bye'] as const
const CLOSED = 2

/**
 * Follows the stream at `url`, from behind the version `from` where the daemon still knows it, and takes it for dead
 * when it is silent for longer than `patience` has. Returns what closes it.
 */
export function connect(
  url: string,
  from: string | null,
  patience: Patience,
  listener: Listener,
  environment: Environment,
): () => void {
  let version = from
  let failures = 0
  let isHeard = false
  let source: Source
  let cancel = () => {}

  function open() {
    const address = new URL(url)
    if (version) address.searchParams.set('lastEventId', version)
    const opened = (source = environment.open(address.href))
    // That is an answer and no more: a proxy may keep for long what the daemon says.
    opened.addEventListener('open', wait)
    opened.addEventListener('error', () => {
      if (opened.readyState === CLOSED) return reopen()
      isHeard = false
      patience.wasCut()
      wait()
      listener.link('reconnecting', null)
    })
    for (const name of NAMES) opened.addEventListener(name, (message) => hear(name, message))
    wait()
  }

  function hear(name: StreamEvent['event'], message: MessageEvent<string>) {
    let data: unknown
    try {
      data = JSON.parse(message.data)
    } catch {
      // What was said is lost: from a snapshot on, then.
      version = null
      return reopen()
    }
    version = message.lastEventId || version
    const event = { event: name, id: version, data } as StreamEvent
    patience.heard(event)
    wait()
    failures = 0
    listener.event(event)
    if (!isHeard && name !== 'bye') listener.link('open', null)
    isHeard = name !== 'bye'
  }

  /** Nothing more for so long, and the stream is opened anew. */
  function wait() {
    cancel()
    cancel = environment.after(patience.ms, () => {
      patience.wasSilent()
      reopen()
    })
  }

  function reopen() {
    close()
    isHeard = false
    patience.wasCut()
    const longest = Math.min(FIRST_WAIT_MS * 2 ** failures++, LONGEST_WAIT_MS)
    const waitMs = longest * (0.5 + environment.random() / 2)
    cancel = environment.after(waitMs, open)
    listener.link('reconnecting', environment.now() + waitMs)
  }

  function close() {
    cancel()
    source.close()
  }

  // Another tab may have been the last to learn it.
  patience.wasCut()
  open()
  return close
}
