/**
 * Decides what is read aloud of profit and loss: each condor that has moved by more than a twentieth of its maximum profit
 * since it was last told, those that came and went, and before them the sum. Small moves add up until they count.
 */
import type { Condor, Totals } from '../document'
import { day, money, signed, strike } from '../format'

/** What the listener knows of a condor. */
interface Known {
  name: string
  pl: number | null
}
export type Told = ReadonlyMap<string, Known>

const PART = 1 / 20
/** More at once is not listened to; how many more there were is said. */
const MOST = 5

/** What is known to who has been told all of `condors`. */
export function told(condors: Iterable<Condor>): Told {
  return new Map([...condors].map((condor) => [condor.id, known(condor)]))
}

/** What is to be said to who was told `before`, nothing as empty text, and what is told after that. */
export function announcement(before: Told, condors: ReadonlyMap<string, Condor>, totals: Totals) {
  const after = new Map<string, Known>()
  const changes: { size: number; sentence: string }[] = []
  for (const condor of condors.values()) {
    const last = before.get(condor.id)
    const size = last ? move(condor, last.pl) : Infinity
    const isSaid = !last || size > PART
    after.set(condor.id, isSaid ? known(condor) : last)
    if (isSaid) changes.push({ size, sentence: change(condor, last) })
  }
  for (const [id, { name }] of before) {
    if (!condors.has(id)) changes.push({ size: Infinity, sentence: `Gone: ${name}.` })
  }
  if (!changes.length) return { text: '', after }
  // The largest first; what is equal, also endlessly, in the daemon's order.
  const sentences = changes.sort((one, other) => other.size - one.size).map(({ sentence }) => sentence)
  const rest = sentences.length > MOST ? [`And ${sentences.length - MOST} more.`] : []
  return { text: [`Total P/L ${amount(totals.unrealizedPl)}.`, ...sentences.slice(0, MOST), ...rest].join(' '), after }
}

/** Named by what tells it from others of its underlying: the day, and the inner strikes. */
function known({ underlying, expiration, legs, valuation }: Condor): Known {
  const inner = [...new Set(legs.slice(1, -1).map((leg) => strike(leg.strike)))]
  return { name: `${underlying} ${day(expiration)}, ${inner.join(' and ')}`, pl: valuation.unrealizedPl }
}

/** How far a condor has moved since it was worth `pl`, as a part of its maximum profit, or of its loss if it has none. */
function move({ maxProfit, maxLoss, valuation }: Condor, pl: number | null): number {
  const next = valuation.unrealizedPl
  if (pl === null || next === null) return pl === next ? 0 : Infinity
  const whole = maxProfit !== null && maxProfit > 0 ? maxProfit : maxLoss
  return whole ? Math.abs(next - pl) / whole : 0
}

function change(condor: Condor, last: Known | undefined): string {
  const { name, pl } = known(condor)
  if (!last) return `New: ${name}, ${amount(pl)}.`
  if (pl === null || last.pl === null) return `${name}, ${amount(pl)}.`
  return `${name}, ${amount(pl)}, ${pl > last.pl ? 'up' : 'down'} ${money(Math.abs(pl - last.pl))}.`
}

/** As it is heard: a dash would be none. */
function amount(pl: number | null): string {
  return pl === null ? 'unknown' : signed(pl)
}
