/**
 * `usePositions`: the daemon's document by REST, asked for again and again; for places that let no stream through.
 *
 * It has the shape of `useCondorStream`, so that the same card shows it. What has not changed is not sent: by its ETag.
 */
import type { MaybeRefOrGetter } from 'vue'
import { startClock } from './clock'
import type { Document } from './document'
import { browser, type Environment } from './environment'
import { follow, type Followed } from './follow'
import { createLive, type Live } from './live'

export interface PositionsOptions {
  /** From one answer to the next question: 5 unless told, from 1 to 3600. */
  seconds?: number
  /** Sent with each question: a bearer token, say. */
  headers?: Record<string, string>
  environment?: Environment
}

/** An answer that takes longer is none. */
export const LIMIT_MS = 10_000

/** What the daemon at `url` (its `/api/positions`) answers, until the calling scope ends. */
export function usePositions(url: MaybeRefOrGetter<string>, options: PositionsOptions = {}): Live {
  const environment = options.environment ?? browser
  return follow(url, (address) => poll(address, options, environment), environment)
}

function poll(address: string, options: PositionsOptions, environment: Environment): Followed {
  const waitMs = 1000 * Math.min(Math.max(options.seconds ?? 5, 1) || 1, 3600)
  const { live, link, now, show } = createLive(environment.now())
  const clock = startClock(now, environment)
  let etag = ''
  let heardAt = environment.now()
  let asking = new AbortController()
  let isOver = false
  let cancel = () => {}

  async function ask() {
    asking = new AbortController()
    cancel = environment.after(LIMIT_MS, () => asking.abort())
    try {
      const headers = { ...options.headers, ...(etag && { 'If-None-Match': etag }) }
      const answer = await environment.fetch(address, { headers, cache: 'no-store', signal: asking.signal })
      if (!answer.ok && answer.status !== 304) throw new Error(answer.statusText)
      const document = answer.ok ? ((await answer.json()) as Document) : null
      if (isOver) return
      heardAt = environment.now()
      etag = answer.headers.get('ETag') ?? etag
      if (document) clock.set(document.asOf)
      clock.tell()
      if (document) show(document)
      if (link.value.state !== 'open') link.value = { state: 'open', since: heardAt, retryAt: null }
    } catch {
      if (isOver) return
      link.value = { state: 'reconnecting', since: heardAt, retryAt: environment.now() + waitMs }
    }
    cancel()
    cancel = environment.after(waitMs, ask)
  }

  void ask()
  return {
    live,
    close() {
      isOver = true
      asking.abort()
      cancel()
      clock.stop()
    },
  }
}
