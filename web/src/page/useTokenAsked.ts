/**
 * Whether the daemon asks for its token, which an EventSource that is refused does not tell.
 *
 * It is asked itself where the stream is refused: once per outage, or until it has answered.
 */
import { shallowRef, watch, type Ref } from 'vue'
import type { Live } from '../live'

/** The code of the daemon's answer, or null where there is none. */
export type Ask = () => Promise<number | null>

const askDaemon: Ask = () =>
  fetch('./api/status').then(
    ({ status }) => status,
    () => null,
  )

export function useTokenAsked(live: Live, ask: Ask = askDaemon): Readonly<Ref<boolean>> {
  const isTokenAsked = shallowRef(false)
  let isAsked = false
  watch(
    live.link,
    async ({ state, retryAt }) => {
      if (state === 'open') {
        isTokenAsked.value = isAsked = false
      } else if (retryAt !== null && !isAsked) {
        isAsked = true
        const code = await ask()
        // The gateway's word is not the daemon's.
        isAsked = code !== null && code < 500
        isTokenAsked.value = code === 401 && live.link.value.state !== 'open'
      }
    },
    { immediate: true },
  )
  return isTokenAsked
}
