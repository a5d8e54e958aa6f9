/** Acknowledges alerts. That it has worked is shown by the daemon's next event. */
import { computed, shallowReactive, watch, type Ref } from 'vue'
import type { Alert } from '../document'
import type { Live } from '../live'
import { isLost } from '../lost'
import type { Ask } from './ask'
import { causeOf } from './words'

export interface Acknowledge {
  /** Why no alert can be acknowledged at present; null if they can. */
  readonly obstacle: Readonly<Ref<string | null>>
  /** The ids of alerts whose request is under way. */
  readonly pending: ReadonlySet<string>
  /** Why the last request for an alert failed, by id. All are removed when `obstacle` changes. */
  readonly errors: ReadonlyMap<string, string>
  acknowledge(alerts: Alert[]): Promise<void>
}

export function useAcknowledge(ask: Ask, { link, status }: Pick<Live, 'link' | 'status'>): Acknowledge {
  const pending = shallowReactive(new Set<string>())
  const errors = shallowReactive(new Map<string, string>())
  const obstacle = computed(() => {
    if (link.value.state !== 'open') return 'No connection to condord'
    return isLost(status.value) ? causeOf(status.value!) : null
  })
  watch(obstacle, () => errors.clear())

  async function one({ id }: Alert) {
    if (pending.has(id)) return
    pending.add(id)
    errors.delete(id)
    try {
      await ask(`api/alerts/${encodeURIComponent(id)}/acknowledge`, { method: 'POST' })
    } catch (error) {
      const sentence = await sentenceFor(error)
      // The page shows an obstacle by itself.
      if (obstacle.value === null) errors.set(id, sentence)
    } finally {
      pending.delete(id)
    }
  }

  return {
    obstacle,
    pending,
    errors,
    async acknowledge(alerts) {
      if (obstacle.value !== null) return
      await Promise.all(alerts.filter(({ acknowledgedAt, state }) => state === 'firing' && acknowledgedAt === null).map(one))
    },
  }
}

/** The words for errors are in a file that is loaded when it is needed; a server that is gone does not send that either. */
const sentenceFor = (error: unknown) => import('./api').then(({ sentenceOf }) => sentenceOf(error), () => 'condord cannot be reached.')
