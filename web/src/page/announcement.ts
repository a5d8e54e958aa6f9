/**
 * What screen readers announce of profit and loss: the total, then condors that are new or no longer held, then each condor
 * that has moved by more than a twentieth of its maximum profit since it was last announced. Small moves add up.
 */
import type { Condor, Totals } from '../document'
import { day, money, signed, strike } from '../format'

/** A condor as it was last announced. */
interface Announced {
  name: string
  pl: number | null
}
export type AnnouncedCondors = ReadonlyMap<string, Announced>

const PART = 1 / 20
/** If there are more changes at once, only their number is announced. */
const MAX_NAMED = 5

/** Returns the state after all of `condors` have been announced. */
export function allAnnounced(condors: Iterable<Condor>): AnnouncedCondors {
  return new Map([...condors].map((condor) => [condor.id, announced(condor)]))
}

/** Returns what to announce after `before`, an empty text for nothing, and the state after that. */
export function announcement(before: AnnouncedCondors, condors: ReadonlyMap<string, Condor>, totals: Totals) {
  const after = new Map<string, Announced>()
  const changes: { size: number; sentence: string }[] = []
  for (const condor of condors.values()) {
    const last = before.get(condor.id)
    const size = last ? move(condor, last.pl) : Infinity
    const isAnnounced = !last || size > PART
    after.set(condor.id, isAnnounced ? announced(condor) : last)
    if (isAnnounced) changes.push({ size, sentence: change(condor, last) })
  }
  for (const [id, { name }] of before) {
    if (!condors.has(id)) changes.push({ size: Infinity, sentence: `Gone: ${name}.` })
  }
  if (!changes.length) return { text: '', after }
  // The largest first; equal ones, infinite ones included, keep the daemon's order.
  const sentences = changes.sort((one, other) => other.size - one.size).map(({ sentence }) => sentence)
  const rest = sentences.length > MAX_NAMED ? [`And ${sentences.length - MAX_NAMED} more.`] : []
  return { text: [`Total P/L ${amount(totals.unrealizedPl)}.`, ...sentences.slice(0, MAX_NAMED), ...rest].join(' '), after }
}

/** The name by which it differs from others of its underlying: the day and the inner strikes. */
function announced({ underlying, expiration, legs, valuation }: Condor): Announced {
  const inner = [...new Set(legs.slice(1, -1).map((leg) => strike(leg.strike)))]
  return { name: `${underlying} ${day(expiration)}, ${inner.join(' and ')}`, pl: valuation.unrealizedPl }
}

/** Returns how far a condor has moved from `pl`, as a fraction of its maximum profit, or of its maximum loss without one. */
function move({ maxProfit, maxLoss, valuation }: Condor, pl: number | null): number {
  const next = valuation.unrealizedPl
  if (pl === null || next === null) return pl === next ? 0 : Infinity
  const whole = maxProfit !== null && maxProfit > 0 ? maxProfit : maxLoss
  return whole ? Math.abs(next - pl) / whole : 0
}

function change(condor: Condor, last: Announced | undefined): string {
  const { name, pl } = announced(condor)
  if (!last) return `New: ${name}, ${amount(pl)}.`
  if (pl === null || last.pl === null) return `${name}, ${amount(pl)}.`
  return `${name}, ${amount(pl)}, ${pl > last.pl ? 'up' : 'down'} ${money(Math.abs(pl - last.pl))}.`
}

/** In words, as a screen reader skips a dash. */
function amount(pl: number | null): string {
  return pl === null ? 'unknown' : signed(pl)
}
