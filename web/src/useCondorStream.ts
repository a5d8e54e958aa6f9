/**
 * `useCondorStream`: the daemon's document, live.
 *
 * All who use the same address in a page share one stream and one state; the last to go closes it. Events are applied as
 * they come and shown once a frame. A stream that says nothing for three heartbeats is taken for dead and opened anew.
 */
import type { MaybeRefOrGetter } from 'vue'
import { startClock } from './clock'
import { connect, type Listener } from './connection'
import type { Document, StreamEvent } from './document'
import { browser, type Environment } from './environment'
import { follow, type Followed } from './follow'
import { createLive, type Link, type Live } from './live'
import { Patience } from './patience'
import { share } from './share'
import { apply } from './stream'

export interface StreamOptions {
  /** Whether the tabs of this origin share one stream; where the browser has no locks, each has its own. */
  share?: boolean
  /** Clock, chance and connections, for tests. */
  environment?: Environment
}

/** What the daemon at `url` (its `/api/stream`) says, from now until the calling scope ends. */
export function useCondorStream(url: MaybeRefOrGetter<string>, options: StreamOptions = {}): Live {
  return follow(url, (address) => attach(address, options), options.environment ?? browser)
}

interface Hub extends Followed {
  users: number
}

/** The streams of this page, by address and manner. */
const hubs = new Map<string, Hub>()

function attach(address: string, options: StreamOptions): Followed {
  const key = `${options.share ? 'shared' : 'own'} ${address}`
  const hub = hubs.get(key) ?? createHub(address, options, () => hubs.delete(key))
  hubs.set(key, hub)
  hub.users += 1
  return { live: hub.live, close: () => --hub.users || hub.close() }
}

/** What the tabs call the stream at `address`: others of the origin can read the name, so that it has no token. */
function nameOf(address: string): string {
  const url = new URL(address)
  url.searchParams.delete('access_token')
  return `condord ${url.href}`
}

function createHub(address: string, options: StreamOptions, closed: () => void): Hub {
  const environment = options.environment ?? browser
  const patience = new Patience()
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
        // Not a frame later than the link: until then old numbers would look live.
        paint()
        setLink('open', null)
      }
      if (isPainting) return
      isPainting = true
      environment.frame(paint)
    },
    link(state, retryAt) {
      if (state === 'open') heardAt = environment.now()
      setLink(state, retryAt)
    },
  }

  function setLink(state: Link['state'], retryAt: number | null) {
    link.value = { state, since: heardAt, retryAt }
  }

  function paint() {
    isPainting = false
    if (isOver) return
    clock.tell()
    if (current) show(current)
  }

  const open = (to: Listener) => connect(address, current?.version ?? null, patience, to, environment)
  const disconnect = options.share
    ? share(nameOf(address), open, () => current, patience, listener, environment)
    : open(listener)

  return {
    live,
    users: 0,
    close() {
      isOver = true
      clock.stop()
      disconnect()
      closed()
    },
  }
}
