/**
 * Lets the tabs of one origin share one stream, as a browser opens at most six connections to an HTTP/1.1 server.
 *
 * The tab that holds the lock is the leader: it has the connection and broadcasts every event to the other tabs. When it is
 * closed, the browser gives the lock to the next tab, which resumes from its own version. It broadcasts its document, as
 * a new tab may have asked the leader that was closing. A leader that has never heard another tab soon broadcasts only
 * what is small: to copy each delta for nobody costs as much as to read it.
 *
 * A tab that the browser has frozen keeps its lock and sends nothing. After the time of `silenceLimit`, another tab
 * sends a `hello` and steals the lock if there is no answer. Each leader has a higher term than the one before, so that
 * messages of a former leader that wakes up are ignored. It learns from the lock, or from a message of the new leader, that
 * it no longer leads.
 */
import type { Connection, Listener } from './connection'
import type { Document, StreamEvent } from './document'
import type { Environment } from './environment'
import type { LinkError } from './explain'
import type { Link } from './live'
import type { SilenceLimit } from './silenceLimit'

/** How long a silent leader has to answer. Hidden tabs wait longer, as they may be frozen next. */
export const GRACE_MS = 1000
/** Tabs that begin at once may miss each other's first message; a tab without a document asks again. */
const ALONE_MS = 2000

type Update = { kind: 'event'; event: StreamEvent } | { kind: 'link'; state: Link['state']; retryAt: number | null; error?: LinkError | undefined }
/** A leader adds its silence limit, which the others adopt, and its term; one of an older page adds neither. */
type Message = { kind: 'hello' } | (Update & { patienceMs?: number; term?: number })

/** Does what `connect` does, for all tabs with the same `name`; `current` returns the document of this tab. */
export function share(
  name: string,
  connect: (listener: Listener) => Connection,
  current: () => Document | null,
  silenceLimit: SilenceLimit,
  listener: Listener,
  environment: Environment,
): Connection {
  const { locks } = environment
  if (!locks) return connect(listener)
  const channel = environment.channel(name)
  let queue = new AbortController()
  /** The last state of the link that a leader sent. */
  let link: (Update & { kind: 'link' }) | null = null
  /** The term of the newest known leader, which may be this tab. */
  let term = 0
  let hasAsked = false
  /** Whether another tab has ever been heard; one that was missed asks at the next heartbeat. */
  let hasOthers = false
  let leadsSince = 0
  /** This tab is a former leader: deltas do not apply to its document until a snapshot has arrived. */
  let isBehind = false
  let isOver = false
  let connection: Connection | null = null
  let release = () => {}
  let cancel = () => {}

  const send = (message: Message) => channel.postMessage(message)
  const broadcast = (update: Update) => send({ ...update, patienceMs: silenceLimit.ms, term })
  const both: Listener = {
    event(event) {
      listener.event(event)
      if (hasOthers || isForAnyone(event)) broadcast({ kind: 'event', event })
    },
    link(state, retryAt, error) {
      listener.link(state, retryAt, error)
      broadcast((link = { kind: 'link', state, retryAt, error }))
    },
  }

  /** Whether to send it although no other tab was heard: what is small, and for a while deltas: a new tab that hears one asks for more. */
  function isForAnyone({ event }: StreamEvent) {
    if (event === 'heartbeat' || event === 'bye') return true
    return event === 'delta' && environment.now() - leadsSince < ALONE_MS
  }

  function welcome() {
    const data = current()
    if (data) broadcast({ kind: 'event', event: { event: 'snapshot', id: data.version, data } })
    if (link) broadcast(link)
  }

  /** Answers a `hello`, at least to show that this leader is alive. */
  function answer() {
    welcome()
    if (!link) broadcast({ kind: 'link', state: 'connecting', retryAt: null })
  }

  /** Asks the leader for its document if this tab cannot apply the event without it; at most once per heartbeat. */
  function ask({ event }: StreamEvent) {
    if (event === 'heartbeat') hasAsked = false
    if (event === 'snapshot' || hasAsked || (current() && !isBehind)) return
    hasAsked = true
    send({ kind: 'hello' })
  }

  function follow(update: Update & { patienceMs?: number }) {
    silenceLimit.ms = update.patienceMs ?? silenceLimit.ms
    wait()
    if (update.kind === 'link') return followLink(update)
    const { event } = update
    ask(event)
    if (event.event === 'snapshot') isBehind = false
    // A snapshot for a new tab is already known in the others.
    if (!isBehind && !isKnown(event)) listener.event(event)
  }

  function followLink(update: Update & { kind: 'link' }) {
    // A leader that is still connecting has no state that is worth keeping.
    if (update.state !== 'connecting') link = update
    listener.link(update.state, update.retryAt, update.error)
  }

  const isKnown = (event: StreamEvent) => event.event === 'snapshot' && event.id === current()?.version

  const cutOff = () => followLink({ kind: 'link', state: 'reconnecting', retryAt: null })

  /** Suspects a silent leader: it has lost its connection, or the browser has frozen it. */
  function wait() {
    cancel()
    cancel = environment.after(silenceLimit.ms, suspect)
  }

  /** If this tab was frozen itself, the leader's messages arrive now, and it does not take over. */
  function suspect() {
    cutOff()
    const graceMs = GRACE_MS * (environment.isHidden ? 3 : 1)
    cancel = environment.after(graceMs + GRACE_MS * environment.random(), takeOver)
    send({ kind: 'hello' })
  }

  function takeOver() {
    queue.abort()
    wait()
    // The Web Locks API refuses `signal` together with `steal`.
    request({ steal: true })
  }

  function queueUp() {
    queue = new AbortController()
    request({ signal: queue.signal })
  }

  function request(options: { signal?: AbortSignal; steal?: boolean }) {
    let isHeld = false
    locks!
      .request(name, options, () => {
        isHeld = true
        return lead()
      })
      .catch((error: unknown) => {
        if (isHeld) return stepDown()
        // Aborted, or stolen by a third tab. Any other error is permanent, such as that of an opaque origin, which cannot share.
        if ((error as Error).name !== 'AbortError') void lead()
        else if (options.steal) queueUp()
      })
  }

  function lead(): Promise<void> {
    if (isOver || connection) return Promise.resolve()
    cancel()
    isBehind = false
    leadsSince = environment.now()
    term = Math.max(term + 1, environment.now()) + environment.random() / 2
    connection = connect(both)
    welcome()
    return new Promise((resolve) => (release = resolve))
  }

  function stepDown() {
    if (!connection) return
    connection.close()
    connection = null
    release()
    isBehind = true
    cutOff()
    queueUp()
    send({ kind: 'hello' })
    wait()
  }

  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    hasOthers = true
    if (data.kind === 'hello') return connection ? answer() : undefined
    const theirs = data.term ?? 0
    if (theirs < term || (connection && theirs === term)) return
    stepDown()
    term = theirs
    follow(data)
  }
  send({ kind: 'hello' })
  wait()
  queueUp()

  return {
    retry: () => connection?.retry(),
    close() {
      isOver = true
      queue.abort()
      cancel()
      connection?.close()
      connection = null
      release()
      channel.close()
    },
  }
}
