/**
 * `usePositions`: polls the daemon's document over REST, for networks that do not let a stream through.
 *
 * It returns the same as `useCondorStream`, so that the same card shows it. With its ETag an unchanged document is not sent
 * again.
 */
import type { MaybeRefOrGetter } from 'vue'
import { startClock } from './clock'
import type { Document } from './document'
import type { Address } from './address'
import { browser, type Environment } from './environment'
import { answerError, missingToken, noAnswer, wrongToken, type LinkError } from './explain'
import { follow, type Followed } from './follow'
import { createLive, type LiveConnection } from './live'

export interface PositionsOptions {
  /** The pause between an answer and the next request: from 1 to 3600, by default 5. */
  seconds?: number
  /** Sent with each request, for example a bearer token. */
  headers?: Record<string, string>
  environment?: Environment
}

/** A request that takes longer has failed. */
export const LIMIT_MS = 10_000

/**
 * Returns the document at `url` (the daemon's `/api/positions`) as refs, until the calling scope ends. While the address is
 * null it waits.
 */
export function usePositions(url: MaybeRefOrGetter<Address>, options: PositionsOptions = {}): LiveConnection {
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
  /** Whether the daemon has ever answered this page. */
  let isKnown = false
  let isWaiting = false
  let cancel = () => {}

  async function poll() {
    isWaiting = false
    request = new AbortController()
    cancel = environment.after(LIMIT_MS, () => request.abort())
    try {
      const headers = { ...options.headers, ...(etag && { 'If-None-Match': etag }) }
      const answer = await environment.fetch(address, { headers, cache: 'no-store', signal: request.signal })
      if (!answer.ok && answer.status !== 304) throw answer
      const document = answer.ok ? ((await answer.json()) as Document) : null
      if (isOver) return
      isKnown = true
      heardAt = environment.now()
      etag = answer.headers.get('ETag') ?? etag
      if (document) clock.set(document.asOf)
      clock.update()
      if (document) show(document)
      if (link.value.state !== 'open') link.value = { state: 'open', since: heardAt, retryAt: null }
    } catch (cause) {
      if (isOver) return
      const error = errorOf(cause)
      const state = error.code === 'token' ? 'refused' : 'reconnecting'
      link.value = { state, since: heardAt, retryAt: environment.now() + waitMs, error }
    }
    cancel()
    cancel = environment.after(waitMs, poll)
    isWaiting = true
  }

  /** The error for an answer, or for a failure without one; a body that is not a document is a SyntaxError. */
  function errorOf(cause: unknown): LinkError {
    if (cause instanceof SyntaxError) return answerError(404, address, '/api/positions')
    if (!(cause instanceof Response)) return noAnswer(address, isKnown)
    if (cause.status !== 401) return answerError(cause.status, address, '/api/positions')
    const isGiven = new Headers(options.headers).has('Authorization') || new URL(address).searchParams.has('access_token')
    return isGiven ? wrongToken(address) : missingToken(address, 'the option headers, as Authorization: Bearer TOKEN')
  }

  void poll()
  return {
    live,
    retry() {
      if (!isWaiting) return
      cancel()
      void poll()
    },
    close() {
      isOver = true
      request.abort()
      cancel()
      clock.stop()
    },
  }
}
