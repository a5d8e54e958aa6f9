/** The names of condors and their legs, in the same form everywhere. */
import type { Leg } from './document'

/** `715 put`, as in a column of strikes. */
export const legName = ({ strike, right }: Pick<Leg, 'strike' | 'right'>) => `${strike} ${right}`

/** The strikes in ascending order, without repeated ones: `620/645/670` for a butterfly. */
export function strikesOf({ legs }: { legs: readonly Pick<Leg, 'strike'>[] }): string {
  return [...new Set(legs.map(({ strike }) => strike).sort((one, other) => one - other))].join('/')
}
