/** A fake browser: the test moves its clock and decides what its connections do. */
import { vi } from 'vitest'
import type { Channel, Environment, Locks, Source } from '../src/environment'

type Listener = (message: MessageEvent<string>) => void

export class FakeSource implements Source {
  readyState = 0
  private readonly listeners = new Map<string, Listener[]>()

  constructor(readonly url: string) {}

  addEventListener(name: string, listener: Listener) {
    this.listeners.set(name, [...(this.listeners.get(name) ?? []), listener])
  }

  close() {
    this.readyState = 2
  }

  opens() {
    this.readyState = 1
    this.emit('open', new MessageEvent('open'))
  }

  /** The connection is lost, and the browser reconnects. */
  breaks() {
    this.readyState = 0
    this.emit('error', new MessageEvent('error'))
  }

  /** The answer was not a stream. */
  fails() {
    this.readyState = 2
    this.emit('error', new MessageEvent('error'))
  }

  /** Delivers an event; `undefined` gives invalid JSON. */
  sends(name: string, data: unknown, id = '') {
    this.emit(name, new MessageEvent(name, { data: String(JSON.stringify(data)), lastEventId: id }))
  }

  private emit(name: string, event: MessageEvent<string>) {
    for (const listener of this.listeners.get(name) ?? []) listener(event)
  }
}

/** A request for a lock; the first of its queue may hold it. */
interface Request {
  held: () => Promise<void>
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
  isHeld: boolean
}

/** Tabs of one origin that share clock, locks and channels; each has its own connections. */
export class World {
  time = Date.parse('2026-11-20T15:31:00Z')
  private timers: { at: number; call: () => void }[] = []
  private readonly queues = new Map<string, Request[]>()
  private readonly channels = new Map<string, Set<Channel>>()

  /** Advances the time and calls the timers that are due. */
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
      this.timers = this.timers.filter((other) => other !== timer)
    }
  }

  /** As in the Web Locks API, the request for a stolen lock rejects, while its callback continues. */
  readonly locks: Locks = {
    request: (name, { signal, steal }, held) =>
      new Promise((resolve, reject) => {
        if (signal && steal) throw new DOMException('signal and steal', 'NotSupportedError')
        const queue = this.queues.get(name) ?? []
        this.queues.set(name, queue)
        const request: Request = { held, resolve, reject, isHeld: false }
        const aborted = () => new DOMException('aborted', 'AbortError')
        signal?.addEventListener('abort', () => {
          if (request.isHeld) return
          queue.splice(queue.indexOf(request), 1)
          reject(aborted())
        })
        if (steal && queue[0]?.isHeld) queue.shift()!.reject(aborted())
        if (steal) queue.unshift(request)
        else queue.push(request)
        this.grant(queue)
      }),
  }

  private grant(queue: Request[]) {
    const request = queue[0]
    if (!request || request.isHeld) return
    request.isHeld = true
    void request.held().then(() => {
      if (queue[0] !== request) return
      queue.shift()
      request.resolve(undefined)
      this.grant(queue)
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
  readonly fetches: Headers[] = []
  locks: Locks | undefined
  isHidden = false
  private frames: (() => void)[] = []
  private isStopped = false
  private readonly missed: (() => void)[] = []

  constructor(readonly world = new World()) {
    this.locks = {
      request: (name, options, held) =>
        new Promise((resolve, reject) => {
          const granted = () => new Promise<void>((done) => this.whenAwake(() => void held().then(done)))
          world.locks.request(name, options, granted).then(resolve, (error) => this.whenAwake(() => reject(error as Error)))
        }),
    }
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
    this.fetches.push(new Headers(init.headers))
    const answer = this.answers.shift() ?? (() => Promise.reject(new TypeError('no network')))
    const aborted = new Promise<never>((_, reject) => init.signal!.addEventListener('abort', () => reject(new DOMException('aborted'))))
    return Promise.race([answer(), aborted])
  }

  now = () => this.world.time
  random = () => 0
  after = (ms: number, call: () => void) => this.world.after(ms, () => this.whenAwake(call))
  readonly joined: Channel[] = []
  channel = (name: string) => {
    const channel = this.world.channel(name)
    const own: Channel = {
      onmessage: null,
      postMessage: (message) => channel.postMessage(message),
      close: () => channel.close(),
    }
    channel.onmessage = (message) => this.whenAwake(() => own.onmessage?.(message))
    this.joined.push(own)
    return own
  }

  frame(call: () => void) {
    this.frames.push(call)
  }

  /** The browser freezes the tab, as in the background: it does nothing until it wakes. */
  stops() {
    this.isStopped = true
  }

  /** The browser resumes the tab, which gets everything that it has missed. */
  wakes() {
    this.isStopped = false
    for (const call of this.missed.splice(0)) call()
  }

  private whenAwake(call: () => void) {
    if (this.isStopped) this.missed.push(call)
    else call()
  }

  /** The next frame. */
  paint() {
    for (const call of this.frames.splice(0)) call()
  }
}

/** Random numbers, the same in every run (mulberry32). */
export function chance(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Replaces the browser's EventSource by the fake one; returns the list of those that are opened. */
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
