/**
 * `usePositions`: polls the daemon's document by REST, for networks that do not let a stream through.
 *
 * It returns the same as `useCondorStream`, so that the same card shows it. With its ETag an unchanged document is not sent
 * again.
 */
import type { MaybeRefOrGetter } from 'vue'
import { startClock } from './clock'
import type { Document } from './document'
import { browser, type Environment } from './environment'
import { follow, type Followed } from './follow'
import { createLive, type Live } from './live'
import { isRefusal } from './tickets'

export interface PositionsOptions {
  /** The pause between an answer and the next request: from 1 to 3600, by default 5. */
  seconds?: number
  /** Sent with each request, for example a bearer token. */
  headers?: Record<string, string>
  environment?: Environment
}

/** A request that takes longer has failed. */
export const LIMIT_MS = 10_000

/** Returns the document at `url` (the daemon's `/api/positions`) as refs, until the calling scope ends. */
export function usePositions(url: MaybeRefOrGetter<string>, options: PositionsOptions = {}): Live {
  const environment = options.environment ?? browser
  return follow(url, (address) => startPolling(address, options, environment), environment)
}

function startPolling(address: string, options: PositionsOptions, environment: Environment): Followed {
  const waitMs = 1000 * Math.min(Math.max(options.seconds ?? 5, 1) || 1, 3600)
  const { live, link, now, show } = createLive(environment.now())
  const clock = startClock(now, environment)
  let etag = ''
  let heardAt = environment.now()
  let request = new AbortController()
  let isOver = false
  let cancel = () => {}

  async function poll() {
    request = new AbortController()
    cancel = environment.after(LIMIT_MS, () => request.abort())
    try {
      const headers = { ...options.headers, ...(etag && { 'If-None-Match': etag }) }
      const answer = await environment.fetch(address, { headers, cache: 'no-store', signal: request.signal })
      if (!answer.ok && answer.status !== 304) throw answer
      const document = answer.ok ? ((await answer.json()) as Document) : null
      if (isOver) return
      heardAt = environment.now()
      etag = answer.headers.get('ETag') ?? etag
      if (document) clock.set(document.asOf)
      clock.update()
      if (document) show(document)
      if (link.value.state !== 'open') link.value = { state: 'open', since: heardAt, retryAt: null }
    } catch (error) {
      if (isOver) return
      link.value = { state: isRefusal(error) ? 'refused' : 'reconnecting', since: heardAt, retryAt: environment.now() + waitMs }
    }
    cancel()
    cancel = environment.after(waitMs, poll)
  }

  void poll()
  return {
    live,
    close() {
      isOver = true
      request.abort()
      cancel()
      clock.stop()
    },
  }
}
