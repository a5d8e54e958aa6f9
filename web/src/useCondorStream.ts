/**
 * `useCondorStream`: the daemon's document, live.
 *
 * All users of one address in a page share one stream and one state, which the last of them closes. Events are applied
 * as they arrive and shown once per frame. A stream that is silent for three heartbeats counts as dead and is reopened.
 */
import type { MaybeRefOrGetter } from 'vue'
import { startClock } from './clock'
import { connect, type Listener } from './connection'
import type { Document, StreamEvent } from './document'
import { browser, type Environment } from './environment'
import type { Address } from './address'
import { follow, type Followed } from './follow'
import type { LinkError } from './explain'
import { createLive, type Link, type LiveConnection } from './live'
import { SilenceLimit } from './silenceLimit'
import { share } from './share'
import { apply } from './stream'
import type { Ticket } from './tickets'

export interface StreamOptions {
  /**
   * Fetches a ticket for each connection to a daemon with a token, as `ticketsFrom` does, or through your own backend. All
   * users of a stream use the function of the first one. If it rejects with something whose `status` is 401, the link is
   * `refused`.
   */
  ticket?: Ticket
  /** Whether the tabs of this origin share one stream; in a browser without locks each has its own. */
  share?: boolean
  /** Clock, randomness and connections, for tests. */
  environment?: Environment
}

/**
 * Returns the document from the stream at `url` (the daemon's `/api/stream`) as refs, until the calling scope ends. While
 * the address is null it waits.
 */
export function useCondorStream(url: MaybeRefOrGetter<Address>, options: StreamOptions = {}): LiveConnection {
  return follow(url, (address) => attach(address, options), options.environment ?? browser)
}

interface Hub extends Followed {
  users: number
}

/** The streams of this page, by address and options. */
const hubs = new Map<string, Hub>()

function attach(address: string, options: StreamOptions): Followed {
  const key = [options.share ? 'shared' : 'own', options.ticket ? 'ticket' : 'open', address].join(' ')
  const hub = hubs.get(key) ?? createHub(address, options, () => hubs.delete(key))
  hubs.set(key, hub)
  hub.users += 1
  return { ...hub, close: () => void (--hub.users || hub.close()) }
}

/** Returns the name under which tabs share the stream, without a token, as the whole origin can read it. */
function nameOf(address: string): string {
  const url = new URL(address)
  url.searchParams.delete('access_token')
  return `condord ${url.href}`
}

function createHub(address: string, options: StreamOptions, closed: () => void): Hub {
  const environment = options.environment ?? browser
  const silenceLimit = new SilenceLimit()
  const { live, link, now, show } = createLive(environment.now())
  const clock = startClock(now, environment)
  let current: Document | null = null
  let heardAt = environment.now()
  let isPainting = false
  let isOver = false

  const listener: Listener = {
    event(event: StreamEvent) {
      heardAt = environment.now()
      if ('asOf' in event.data) clock.set(event.data.asOf)
      current = apply(current, event)
      if (event.event === 'bye') setLink('reconnecting', null)
      else if (link.value.state !== 'open') {
        // Shown together with the link, as old numbers would look live until the next frame.
        paint()
        setLink('open', null)
      }
      if (isPainting) return
      isPainting = true
      environment.frame(paint)
    },
    link(state, retryAt, error) {
      if (state === 'open') heardAt = environment.now()
      setLink(state, retryAt, error)
    },
  }

  function setLink(state: Link['state'], retryAt: number | null, error?: LinkError) {
    link.value = { state, since: heardAt, retryAt, ...(error && { error }) }
  }

  function paint() {
    isPainting = false
    if (isOver) return
    clock.update()
    if (current) show(current)
  }

  const open = (to: Listener) => connect(address, current?.version ?? null, silenceLimit, to, environment, options.ticket)
  const connection = options.share
    ? share(nameOf(address), open, () => current, silenceLimit, listener, environment)
    : open(listener)

  return {
    live,
    users: 0,
    retry: () => connection.retry(),
    close() {
      isOver = true
      clock.stop()
      connection.close()
      closed()
    },
  }
}
