/** Notifies of each alert that begins to fire while the page is open, in one tab of all, if the user has asked for it. */
import { onScopeDispose, watch } from 'vue'
import type { Alert } from '../document'
import type { Live } from '../live'
import { claim } from './claims'
import { isUnanswered, split } from './needs'
import { notify } from './notifications'
import type { Settings } from './settings'
import { canPlay, playSound, wakeSound } from './sound'

export function useNotifications(live: Live, settings: Settings) {
  const known = new Set<string>()
  let hasBegun = false

  watch(
    [() => live.document.value !== null, () => [...live.alerts.value.values()]],
    ([hasDocument, alerts]) => {
      if (!hasDocument) return
      const fresh = alerts.filter((alert) => isUnanswered(alert) && !known.has(keyOf(alert)))
      for (const alert of fresh) known.add(keyOf(alert))
      // An alert that fires when the page is opened, or at the first evaluation after a start of condord, is on the page but not news.
      if (hasBegun) for (const alert of fresh) if (!alert.atStart) void tell(alert)
      hasBegun = true
    },
    { immediate: true },
  )

  async function tell(alert: Alert) {
    const { name, text } = split(alert)
    if (settings.notify && (await claim(`notification ${keyOf(alert)}`))) notify(name, text, alert.id)
    if (settings.sound && canPlay() && (await claim(`sound ${keyOf(alert)}`))) playSound()
  }

  /** After a reload the setting is still on, but the browser waits for a click before it plays anything. */
  function wake() {
    if (settings.sound && !canPlay()) void wakeSound()
  }
  addEventListener('pointerdown', wake)
  onScopeDispose(() => removeEventListener('pointerdown', wake))
}

/** A new firing of the same rule has another `since`. */
const keyOf = ({ id, since }: Alert) => `${id} ${since}`
