/**
 * Whether condors may lose more than their maximum loss, which counts on all legs to the expiration.
 *
 * The daemon's alerts tell when that is so. `condord/cli/max_loss.py` names the same alerts.
 */
import type { Alert } from './document'
import { firingFor } from './firing'

const RULES = ['long-put-expiring', 'ex-dividend']

/** Returns ` or more`, to follow the maximum loss of `condors`, if one of them may lose more; else an empty string. */
export function orMore(condors: Iterable<{ id: string }>, alerts: ReadonlyMap<string, Alert>): string {
  return [...condors].some(({ id }) => firingFor(id, alerts.values()).some(({ rule }) => RULES.includes(rule))) ? ' or more' : ''
}
