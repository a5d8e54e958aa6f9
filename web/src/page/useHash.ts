/** The hash of the address, as of its last `hashchange`. */
import { onScopeDispose, shallowRef, type Ref } from 'vue'

export function useHash(): Readonly<Ref<string>> {
  const hash = shallowRef(location.hash)
  const read = () => (hash.value = location.hash)
  addEventListener('hashchange', read)
  onScopeDispose(() => removeEventListener('hashchange', read))
  return hash
}
