/** Asks for the recorded line of one condor, or of all, whenever the range changes. */
import { onScopeDispose, shallowRef, watch, type Ref } from 'vue'
import { sentenceOf } from '../api'
import type { Ask } from '../ask'
import { exchangeDate } from '../dates'
import type { Recorded } from './line'
import { queryOf, type Range } from './ranges'

export function useRecorded(ask: Ask, condorId: () => string | null, range: Readonly<Ref<Range>>, now: () => number) {
  const recorded = shallowRef<Recorded | null>(null)
  const error = shallowRef('')
  const isLoading = shallowRef(false)
  /** The query that the line shown belongs to. */
  const query = shallowRef('')
  let request = new AbortController()

  async function load() {
    request.abort()
    const own = (request = new AbortController())
    isLoading.value = true
    error.value = ''
    try {
      const found = await latest(own.signal)
      if (own.signal.aborted) return
      recorded.value = found.recorded
      query.value = found.query
    } catch (reason) {
      if (own.signal.aborted) return
      recorded.value = null
      error.value = sentenceOf(reason)
    }
    isLoading.value = false
  }

  /** Returns the recorded points; for the range "session", the last session if today's has not begun. */
  async function latest(signal: AbortSignal): Promise<{ recorded: Recorded; query: string }> {
    const get = async (query: string) => {
      const answer = await ask(`api/history?${query}`, { signal })
      return { recorded: (await answer.json()) as Recorded, query }
    }
    const found = await get(queryOf(condorId(), range.value, now()))
    if (range.value !== 'session' || found.recorded.seconds.length) return found
    const week = await get(queryOf(condorId(), 'week', now()))
    const last = week.recorded.seconds.at(-1)
    return last === undefined ? found : get(queryOf(condorId(), 'session', now(), exchangeDate(last * 1000 - 1)))
  }

  watch([condorId, range], load, { immediate: true })
  onScopeDispose(() => request.abort())
  return { recorded, error, isLoading, query }
}
