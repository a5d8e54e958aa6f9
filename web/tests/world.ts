/** A browser of our own: its clock moves when told, its connections do what the test says. */
import { vi } from 'vitest'
import type { Channel, Environment, Locks, Source } from '../src/environment'

type Hear = (message: MessageEvent<string>) => void

export class FakeSource implements Source {
  readyState = 0
  private readonly hearers = new Map<string, Hear[]>()

  constructor(readonly url: string) {}

  addEventListener(name: string, hear: Hear) {
    this.hearers.set(name, [...(this.hearers.get(name) ?? []), hear])
  }

  close() {
    this.readyState = 2
  }

  opens() {
    this.readyState = 1
    this.emit('open', new MessageEvent('open'))
  }

  /** The connection is cut, and the browser makes it again. */
  breaks() {
    this.readyState = 0
    this.emit('error', new MessageEvent('error'))
  }

  /** The answer was not a stream. */
  fails() {
    this.readyState = 2
    this.emit('error', new MessageEvent('error'))
  }

  /** An event; undefined is no JSON. */
  says(name: string, data: unknown, id = '') {
    this.emit(name, new MessageEvent(name, { data: String(JSON.stringify(data)), lastEventId: id }))
  }

  private emit(name: string, event: MessageEvent<string>) {
    for (const hear of this.hearers.get(name) ?? []) hear(event)
  }
}

/** Tabs of one origin that share clock, locks and channels; each has its own connections. */
export class World {
  time = Date.parse('2026-11-20T15:31:00Z')
  private timers: { at: number; call: () => void }[] = []
  private readonly queues = new Map<string, { held: () => Promise<void>; signal: AbortSignal }[]>()
  private readonly channels = new Map<string, Set<Channel>>()

  /** Lets time pass, with whatever is due in it. */
  pass(ms: number) {
    const end = this.time + ms
    for (;;) {
      const due = this.timers.filter((timer) => timer.at <= end).sort((one, other) => one.at - other.at)[0]
      if (!due) break
      this.timers = this.timers.filter((timer) => timer !== due)
      this.time = due.at
      due.call()
    }
    this.time = end
  }

  get pending() {
    return this.timers.length
  }

  after(ms: number, call: () => void) {
    const timer = { at: this.time + ms, call }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter((each) => each !== timer)
    }
  }

  readonly locks: Locks = {
    request: (name, { signal }, held) => {
      const queue = this.queues.get(name) ?? []
      this.queues.set(name, queue)
      queue.push({ held, signal })
      if (queue.length === 1) this.grant(name)
      return Promise.resolve()
    },
  }

  private grant(name: string) {
    const queue = this.queues.get(name)!
    while (queue[0]?.signal.aborted) queue.shift()
    void queue[0]?.held().then(() => {
      queue.shift()
      this.grant(name)
    })
  }

  channel(name: string): Channel {
    const members = this.channels.get(name) ?? new Set()
    this.channels.set(name, members)
    const own: Channel = {
      onmessage: null,
      postMessage: (message) => {
        const data: unknown = structuredClone(message)
        for (const other of members) if (other !== own) other.onmessage?.(new MessageEvent('message', { data }))
      },
      close: () => members.delete(own),
    }
    members.add(own)
    return own
  }
}

export class Tab implements Environment {
  readonly sources: FakeSource[] = []
  readonly answers: (() => Response | Promise<Response>)[] = []
  readonly asked: Headers[] = []
  locks: Locks | undefined
  private frames: (() => void)[] = []
  private isStopped = false

  constructor(readonly world = new World()) {
    this.locks = world.locks
  }

  get source() {
    return this.sources.at(-1)!
  }

  open(url: string) {
    const source = new FakeSource(url)
    this.sources.push(source)
    return source
  }

  fetch(_url: string, init: RequestInit) {
    this.asked.push(new Headers(init.headers))
    const answer = this.answers.shift() ?? (() => Promise.reject(new TypeError('no network')))
    const aborted = new Promise<never>((_, reject) => init.signal!.addEventListener('abort', () => reject(new DOMException('aborted'))))
    return Promise.race([answer(), aborted])
  }

  now = () => this.world.time
  random = () => 0
  after = (ms: number, call: () => void) => this.world.after(ms, () => this.isStopped || call())
  readonly joined: Channel[] = []
  channel = (name: string) => {
    const channel = this.world.channel(name)
    this.joined.push(channel)
    return channel
  }

  frame(call: () => void) {
    this.frames.push(call)
  }

  /** The browser stops it, as it does with tabs in the background: it does nothing any more. */
  stops() {
    this.isStopped = true
  }

  /** The next painting. */
  paint() {
    for (const call of this.frames.splice(0)) call()
  }
}

/** Numbers by chance, the same in every run (mulberry32). */
export function chance(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Puts such a source where the browser has its own; returns those that are opened. */
export function stubEventSource(): FakeSource[] {
  const opened: FakeSource[] = []
  vi.stubGlobal(
    'EventSource',
    class extends FakeSource {
      constructor(url: string) {
        super(url)
        opened.push(this)
      }
    },
  )
  return opened
}
