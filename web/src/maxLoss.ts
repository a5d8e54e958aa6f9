/**
 * Whether a condor may lose more than its maximum loss, which counts on all legs to the expiration.
 *
 * The daemon's alerts tell when that is so. `condord/cli/max_loss.py` has the same rules.
 */
import type { Alert } from './document'
import { firingFor } from './firing'

const RULES = ['long-put-expiring', 'ex-dividend']

export const mayExceedMaxLoss = (id: string, alerts: Iterable<Alert>) => firingFor(id, alerts).some(({ rule }) => RULES.includes(rule))
