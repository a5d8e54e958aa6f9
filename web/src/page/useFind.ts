/**
 * What the list of condors is searched for, which is kept in the hash of the address.
 *
 * The list writes its own changes there by `replaceState`, which fires no event, so the hash is also read with each
 * second of `now`.
 */
import { computed, type Ref } from 'vue'
import { useHash } from './useHash'

export function useFind(now: Readonly<Ref<number>>) {
  const hash = useHash()
  const find = computed(() => {
    void now.value
    void hash.value
    return new URLSearchParams(location.hash.slice(1)).get('find') ?? ''
  })

  function search(text: string) {
    const parameters = new URLSearchParams(location.hash.slice(1))
    if (text) parameters.set('find', text)
    else parameters.delete('find')
    const next = parameters.toString()
    history.replaceState(null, '', next ? `#${next}` : location.pathname + location.search)
    // A change of `location.hash` would add to the history. `replaceState` does not, and fires no event.
    dispatchEvent(new HashChangeEvent('hashchange'))
  }

  return { find, search }
}
