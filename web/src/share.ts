/**
 * Lets the tabs of one origin share one stream, as a browser opens no more than six to a server of HTTP/1.1.
 *
 * Who holds the lock of this name leads: it has the connection, and tells the others on a channel what it hears. When
 * its tab goes, the browser gives the lock to the next one, which goes on from the version that it has.
 */
import type { Listener } from './connection'
import type { Document, StreamEvent } from './document'
import type { Environment } from './environment'
import type { Link } from './live'

type Message =
  | { kind: 'hello' }
  | { kind: 'event'; event: StreamEvent }
  | { kind: 'link'; state: Link['state']; retryAt: number | null }

/** As `connect`, which is given as a function of the listener; `current` is the document that this tab has. */
export function share(
  name: string,
  connect: (listener: Listener) => () => void,
  current: () => Document | null,
  patienceMs: number,
  listener: Listener,
  environment: Environment,
): () => void {
  if (!environment.locks) return connect(listener)
  const channel = environment.channel(name)
  const closing = new AbortController()
  let link: Message = { kind: 'link', state: 'connecting', retryAt: null }
  let disconnect: (() => void) | null = null
  let release = () => {}
  let cancel = () => {}

  const tell = (message: Message) => channel.postMessage(message)
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
    tell(link)
  }

  function follow(message: Message) {
    wait()
    if (message.kind === 'link') listener.link(message.state, message.retryAt)
    // What a newcomer is told, the others have.
    if (message.kind === 'event' && !isKnown(message.event)) listener.event(message.event)
  }

  const isKnown = (event: StreamEvent) => event.event === 'snapshot' && event.id === current()?.version

  /** A leader that says nothing for so long is cut off, or stopped by the browser. */
  function wait() {
    cancel()
    cancel = environment.after(patienceMs, () => listener.link('reconnecting', null))
  }

  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (!disconnect) follow(data)
    else if (data.kind === 'hello') welcome()
  }
  tell({ kind: 'hello' })
  wait()

  environment.locks
    .request(name, { signal: closing.signal }, () => {
      cancel()
      disconnect = connect(both)
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
