/** Acknowledges alerts. That it has worked is shown by the daemon's next event. */
import { shallowReactive } from 'vue'
import type { Alert } from '../document'
import type { Ask } from './ask'

export interface Acknowledge {
  /** The ids of alerts whose request is under way. */
  readonly pending: ReadonlySet<string>
  /** Why the last request for an alert failed, by id. */
  readonly errors: ReadonlyMap<string, string>
  acknowledge(alerts: Alert[]): Promise<void>
}

export function useAcknowledge(ask: Ask): Acknowledge {
  const pending = shallowReactive(new Set<string>())
  const errors = shallowReactive(new Map<string, string>())

  async function one({ id }: Alert) {
    if (pending.has(id)) return
    pending.add(id)
    errors.delete(id)
    try {
      await ask(`api/alerts/${encodeURIComponent(id)}/acknowledge`, { method: 'POST' })
    } catch (error) {
      errors.set(id, (await import('./api')).sentenceOf(error))
    }
    pending.delete(id)
  }

  return {
    pending,
    errors,
    async acknowledge(alerts) {
      await Promise.all(alerts.filter(({ acknowledgedAt, state }) => state === 'firing' && acknowledgedAt === null).map(one))
    },
  }
}
