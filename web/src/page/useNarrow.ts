/** Whether the window is as narrow as a phone. */
import { onScopeDispose, shallowRef, type Ref } from 'vue'

export const NARROW = '(width < 40rem)'

export function useNarrow(): Readonly<Ref<boolean>> {
  const query = matchMedia(NARROW)
  const isNarrow = shallowRef(query.matches)
  const read = () => (isNarrow.value = query.matches)
  query.addEventListener('change', read)
  onScopeDispose(() => query.removeEventListener('change', read))
  return isNarrow
}
