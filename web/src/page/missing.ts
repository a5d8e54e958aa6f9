/** What a broken condor has lost, for its row. The terminal has the same words, see condord/cli/condor_notes.py. */
import type { Broken } from '../document'

/** Returns `no call 770`, or `no call 770 …` if more than `most` legs are missing. */
export function missingOf({ legs }: Pick<Broken, 'legs'>, most = Infinity): string {
  const lost = legs.filter(({ held, quantity }) => held < quantity).sort((one, other) => Number(one.held > 0) - Number(other.held > 0))
  const named = lost.slice(0, most).map(({ right, strike, held, quantity }) => `${held ? `${held} of ${quantity}` : 'no'} ${right} ${strike}`)
  return named.join(', ') + (lost.length > most ? ' …' : '') || 'short uncovered'
}
