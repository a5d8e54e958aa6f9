/**
 * The lost legs of broken condors, and the profit or loss of the remaining ones. No delta contains the latter: it is summed from the
 * entries of `unmatched` exactly as the daemon sums it.
 */
import type { Broken, Unmatched } from './document'

const E4_PER_DOLLAR = 1e4
const E4_PER_CENT = 100

/** Returns `broken` after a change of `unmatched`; a condor whose profit or loss is unchanged stays the same object. */
export function revalued(broken: Broken[], unmatched: Unmatched[]): Broken[] {
  if (!broken.length) return broken
  const entries = new Map(unmatched.map((entry) => [entry.symbol, entry]))
  const next = broken.map((condor) => {
    const unrealizedPl = leftPl(condor, entries)
    return unrealizedPl === condor.unrealizedPl ? condor : { ...condor, unrealizedPl }
  })
  return next.every((condor, at) => condor === broken[at]) ? broken : next
}

function leftPl({ legs }: Broken, entries: ReadonlyMap<string, Unmatched>): number | null {
  let e4 = 0
  for (const { symbol, held } of legs) {
    if (!held) continue
    const { quantity, unrealizedPl } = entries.get(symbol) ?? {}
    if (!quantity || unrealizedPl == null) return null
    e4 += shareE4(Math.round(unrealizedPl * E4_PER_DOLLAR), held, quantity)
  }
  return e4 / E4_PER_DOLLAR
}

/** A whole entry keeps its fractions of a cent; a share of an entry is rounded to the cent, half a cent upwards. */
function shareE4(e4: number, held: number, quantity: number): number {
  return held === quantity ? e4 : Math.round((e4 * held) / (quantity * E4_PER_CENT)) * E4_PER_CENT
}

/** `lost its long put 705 and 1 of its 2 short calls 770`, in the words of the daemon's alert. */
export function lossOf({ legs }: Pick<Broken, 'legs'>): string {
  const lost = legs
    .filter(({ held, quantity }) => held < quantity)
    .map(({ side, right, strike, held, quantity }) => {
      const part = held ? `${quantity - held} of its ${quantity}` : quantity > 1 ? `its ${quantity}` : 'its'
      return `${part} ${side} ${right}${quantity > 1 ? 's' : ''} ${strike}`
    })
  return `lost ${lost.join(' and ') || 'legs'}`
}
