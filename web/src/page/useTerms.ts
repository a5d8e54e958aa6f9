/** The condors by their terms, for what follows from these alone, as all else moves with every quote. */
import { computed, type Ref } from 'vue'
import type { Condor } from '../document'
import type { Live } from '../live'

/** Returns the condors; they stay the same while no legs, no credit and no expiry have changed. */
export function useTerms(live: Live): Readonly<Ref<readonly Condor[]>> {
  return computed<readonly Condor[]>((last) => {
    // Not the map of condors, of which each change of a value is watched.
    const next = live.document.value?.condors ?? []
    const isSame = ({ legs, credit, expiry, daysToExpiration }: Condor, at: number) => {
      const other = last?.[at]
      return other?.legs === legs && other.credit === credit && other.expiry === expiry && other.daysToExpiration === daysToExpiration
    }
    return last?.length === next.length && next.every(isSame) ? last : next
  })
}
