/**
 * Lets exactly one tab act on an alert.
 *
 * There is no leader, as the browser may have frozen it: the first tab that is awake claims the alert, and one that wakes
 * later finds the claim. Claims are stored, so that a reload does not repeat anything.
 */

const LOCK = 'condord.claims'
const KEY = 'condord.claims'
/** Older claims are of alerts that are no longer new to any tab. */
const KEPT = 400

/** Returns whether this tab is the first to claim `name`. Without locks or storage every tab is. */
export async function claim(name: string): Promise<boolean> {
  const take = () => {
    try {
      const claims = (localStorage.getItem(KEY) ?? '').split('\n').filter(Boolean)
      if (claims.includes(name)) return false
      localStorage.setItem(KEY, [...claims, name].slice(-KEPT).join('\n'))
    } catch {
      // The browser refuses to store anything; better two sounds than none.
    }
    return true
  }
  return navigator.locks ? navigator.locks.request(LOCK, take) : take()
}
