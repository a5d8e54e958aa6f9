/** What of the browser is used: clock, chance and connections, so that tests can have their own. */

/** An EventSource, as far as it is used. */
export interface Source {
  readonly readyState: number
  addEventListener(name: string, hear: (message: MessageEvent<string>) => void): void
  close(): void
}

export interface Channel {
  onmessage: ((message: MessageEvent) => void) | null
  postMessage(message: unknown): void
  close(): void
}

export interface Locks {
  request(name: string, options: { signal: AbortSignal }, held: () => Promise<void>): Promise<unknown>
}

export interface Environment {
  open(url: string): Source
  fetch(url: string, init: RequestInit): Promise<Response>
  /** Milliseconds since 1970. */
  now(): number
  /** From 0 to less than 1. */
  random(): number
  /** Calls once, after so many milliseconds, unless what it returns is called before. */
  after(ms: number, call: () => void): () => void
  /** Calls once, before the next painting; while the page is hidden, which is not painted, soon. */
  frame(call: () => void): void
  /** Only in secure contexts: https, and loopback. */
  locks: Locks | undefined
  channel(name: string): Channel
}

export const browser: Environment = {
  open: (url) => new EventSource(url),
  fetch: (url, init) => fetch(url, init),
  now: Date.now,
  random: Math.random,
  after(ms, call) {
    const timer = setTimeout(call, ms)
    return () => clearTimeout(timer)
  },
  frame: (call) => (document.hidden ? setTimeout(call, 100) : requestAnimationFrame(call)),
  get locks() {
    return navigator.locks
  },
  channel: (name) => new BroadcastChannel(name),
}
