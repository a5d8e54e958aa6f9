/**
 * `usePositions`: the daemon's document by REST, asked for again and again; for places that let no stream through.
 *
 * It has the shape of `useCondorStream`, so that the same card shows it. What has not changed is not sent: by its ETag.
 */
import { onScopeDispose, toValue, watch, type MaybeRefOrGetter } from 'vue'
import type { Document } from './document'
import { browser, type Environment } from './environment'
import { createLive, type Live } from './live'

export interface PositionsOptions {
  /** From one answer to the next question. */
  seconds?: number
  /** Sent with each question: a bearer token, say. */
  headers?: Record<string, string>
  environment?: Environment
}

/** What the daemon at `url` (its `/api/positions`) answers, until the calling scope ends. */
export function usePositions(url: MaybeRefOrGetter<string>, options: PositionsOptions = {}): Live {
  const environment = options.environment ?? browser
  const waitMs = (options.seconds ?? 5) * 1000
  const { live, link, now, show } = createLive(environment.now())

  function poll(address: string): () => void {
    const closing = new AbortController()
    let etag = ''
    let heardAt = environment.now()
    let offset = 0
    let cancel = () => {}

    async function ask() {
      try {
        const headers = { ...options.headers, ...(etag && { 'If-None-Match': etag }) }
        const answer = await environment.fetch(address, { headers, cache: 'no-store', signal: closing.signal })
        if (!answer.ok && answer.status !== 304) throw new Error(answer.statusText)
        const document = answer.ok ? ((await answer.json()) as Document) : null
        if (closing.signal.aborted) return
        heardAt = environment.now()
        etag = answer.headers.get('ETag') ?? etag
        if (document) offset = Date.parse(document.asOf) - heardAt
        now.value = Math.floor((heardAt + offset) / 1000) * 1000
        if (document) show(document)
        if (link.value.state !== 'open') link.value = { state: 'open', since: heardAt, retryAt: null }
      } catch {
        if (closing.signal.aborted) return
        now.value = Math.floor((environment.now() + offset) / 1000) * 1000
        link.value = { state: 'reconnecting', since: heardAt, retryAt: environment.now() + waitMs }
      }
      cancel = environment.after(waitMs, ask)
    }

    void ask()
    return () => {
      closing.abort()
      cancel()
    }
  }

  let stop = () => {}
  watch(
    () => toValue(url),
    (address) => {
      stop()
      stop = poll(address)
    },
    { immediate: true },
  )
  onScopeDispose(() => stop())
  return live
}
