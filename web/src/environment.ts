/** The parts of the browser that are used (clock, randomness, connections), so that tests can replace them. */

/** The part of EventSource that is used. */
export interface Source {
  readonly readyState: number
  addEventListener(name: string, listener: (message: MessageEvent<string>) => void): void
  close(): void
}

export interface Channel {
  onmessage: ((message: MessageEvent) => void) | null
  postMessage(message: unknown): void
  close(): void
}

export interface Locks {
  request(
    name: string,
    options: { signal?: AbortSignal; steal?: boolean },
    held: () => Promise<void>,
  ): Promise<unknown>
}

export interface Environment {
  open(url: string): Source
  fetch(url: string, init: RequestInit): Promise<Response>
  /** Milliseconds since 1970. */
  now(): number
  /** From 0 to less than 1. */
  random(): number
  /** Calls `call` once after `ms` milliseconds; returns a function that cancels it. */
  after(ms: number, call: () => void): () => void
  /** Calls `call` once before the next frame; while the page is hidden, which has no frames, after a short wait. */
  frame(call: () => void): void
  /** Whether the tab is in the background. */
  readonly isHidden: boolean
  /** Only available in secure contexts: https and loopback. */
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
  get isHidden() {
    return document.hidden
  },
  get locks() {
    return navigator.locks
  },
  channel: (name) => new BroadcastChannel(name),
}
