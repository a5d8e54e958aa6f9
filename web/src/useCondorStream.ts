/**
 * `useCondorStream`: the daemon's document, live.
 *
 * All who use the same address in a page share one stream and one state; the last to go closes it. Events are applied as
 * they come and shown once a frame. A stream that says nothing for three heartbeats is taken for dead and opened anew.
 */
import { computed, onScopeDispose, shallowRef, toValue, watch, type MaybeRefOrGetter } from 'vue'
import { connect, type Listener } from './connection'
import type { Document, StreamEvent } from './document'
import { browser, type Environment } from './environment'
import { createLive, type Link, type Live, type Shown } from './live'
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
  const hub = shallowRef<Hub>()
  watch(
    () => new URL(toValue(url), document.baseURI).href,
    (address) => {
      const next = attach(address, options)
      detach(hub.value)
      hub.value = next
    },
    { immediate: true, flush: 'sync' },
  )
  onScopeDispose(() => detach(hub.value))

  const pick = <Key extends keyof Shown>(key: Key) => computed<Shown[Key]>(() => hub.value!.live[key].value)
  return {
    document: pick('document'),
    status: pick('status'),
    totals: pick('totals'),
    condors: pick('condors'),
    quotes: pick('quotes'),
    unmatched: pick('unmatched'),
    arrivals: pick('arrivals'),
    link: pick('link'),
    now: pick('now'),
  }
}

interface Hub {
  live: Live
  users: number
  close(): void
}

/** The streams of this page, by address and manner. */
const hubs = new Map<string, Hub>()

function attach(address: string, options: StreamOptions): Hub {
  const key = `${options.share ? 'shared' : 'own'} ${address}`
  const hub = hubs.get(key) ?? createHub(address, options, () => hubs.delete(key))
  hubs.set(key, hub)
  hub.users += 1
  return hub
}

function detach(hub: Hub | undefined) {
  if (hub && --hub.users === 0) hub.close()
}

function createHub(address: string, options: StreamOptions, closed: () => void): Hub {
  const environment = options.environment ?? browser
  const patience = new Patience()
  const { live, link, now, show } = createLive(environment.now())
  let current: Document | null = null
  let heardAt = environment.now()
  let offset = 0
  let isPainting = false
  let isOver = false
  let cancelTick = () => {}

  const listener: Listener = {
    event(event: StreamEvent) {
      heardAt = environment.now()
      if ('asOf' in event.data) offset = Date.parse(event.data.asOf) - heardAt
      current = apply(current, event)
      if (event.event === 'bye') setLink('reconnecting', null)
      else if (link.value.state !== 'open') setLink('open', null)
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
    tell()
    if (current) show(current)
  }

  /** The time by the daemon's clock, in whole seconds: what shows an age changes no more often. */
  function tell() {
    now.value = Math.floor((environment.now() + offset) / 1000) * 1000
  }

  function tick() {
    tell()
    cancelTick = environment.after(1000, tick)
  }

  const open = (to: Listener) => connect(address, current?.version ?? null, patience, to, environment)
  const disconnect = options.share
    ? share(`condord ${address}`, open, () => current, patience, listener, environment)
    : open(listener)
  tick()

  return {
    live,
    users: 0,
    close() {
      isOver = true
      cancelTick()
      disconnect()
      closed()
    },
  }
}
