/**
 * Lets the tabs of one origin share one stream, as a browser opens no more than six to a server of HTTP/1.1.
 *
 * Who holds the lock of this name leads: it has the connection, and tells the others on a channel what it hears. When
 * its tab goes, the browser gives the lock to the next one, which goes on from the version that it has and tells it to
 * all: who has just come may have asked the one that was leaving.
 */
import type { Listener } from './connection'
import type { Document, StreamEvent } from './document'
import type { Environment } from './environment'
import type { Link } from './live'
import type { Patience } from './patience'

type Told = { kind: 'event'; event: StreamEvent } | { kind: 'link'; state: Link['state']; retryAt: number | null }
/** With whatever the leader tells goes its patience, which the others share; a tab of an older page does not tell it. */
type Message = { kind: 'hello' } | (Told & { patienceMs?: number })

/** As `connect`, which is given as a function of the listener; `current` is the document that this tab has. */
export function share(
  name: string,
  connect: (listener: Listener) => () => void,
  current: () => Document | null,
  patience: Patience,
  listener: Listener,
  environment: Environment,
): () => void {
  if (!environment.locks) return connect(listener)
  const channel = environment.channel(name)
  const closing = new AbortController()
  /** What was last told of the link, by whoever led then. */
  let link: Told | null = null
  let isAsked = false
  let disconnect: (() => void) | null = null
  let release = () => {}
  let cancel = () => {}

  const send = (message: Message) => channel.postMessage(message)
  const tell = (told: Told) => send({ ...told, patienceMs: patience.ms })
  const both: Listener = {
    event(event) {
      listener.event(event)
      tell({ kind: 'event', event })
    },
    link(state, retryAt) {
      listener.link(state, retryAt)
      tell((link = { kind: 'link', state, retryAt }))
    },
  }

  function welcome() {
    const data = current()
    if (data) tell({ kind: 'event', event: { event: 'snapshot', id: data.version, data } })
    if (link) tell(link)
  }

  /** Events say nothing to who has no document; whoever leads now has one, and is asked for it once a heartbeat. */
  function ask({ event }: StreamEvent) {
    if (event === 'heartbeat') isAsked = false
    if (event === 'snapshot' || isAsked || current()) return
    isAsked = true
    send({ kind: 'hello' })
  }

  function follow(message: Message) {
    if (message.kind === 'hello') return
    patience.ms = message.patienceMs ?? patience.ms
    wait()
    if (message.kind === 'link') return followLink(message)
    ask(message.event)
    // What a newcomer is told, the others have.
    if (!isKnown(message.event)) listener.event(message.event)
  }

  function followLink(told: Told & { kind: 'link' }) {
    link = told
    listener.link(told.state, told.retryAt)
  }

  const isKnown = (event: StreamEvent) => event.event === 'snapshot' && event.id === current()?.version

  /** A leader that says nothing for so long is cut off, or stopped by the browser. */
  function wait() {
    cancel()
    cancel = environment.after(patience.ms, () => followLink({ kind: 'link', state: 'reconnecting', retryAt: null }))
  }

  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (!disconnect) follow(data)
    else if (data.kind === 'hello') welcome()
  }
  send({ kind: 'hello' })
  wait()

  environment.locks
    .request(name, { signal: closing.signal }, () => {
      cancel()
      disconnect = connect(both)
      welcome()
      return new Promise<void>((resolve) => (release = resolve))
    })
    .catch(() => {}) // Closed while it waited.

  return () => {
    closing.abort()
    cancel()
    disconnect?.()
    release()
    channel.close()
  }
}
