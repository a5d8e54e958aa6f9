/** The view of the page, kept in its address by `replaceState`, so that the Back button leaves the page instead of undoing a choice. */
import { onScopeDispose, reactive, watch } from 'vue'
import { fromHash, isTradesHash, toHash, type View } from './view'

export function useView(): View {
  const view = reactive(fromHash(location.hash))
  function read() {
    // The hash of the trades contains no view; the default view, read from it, would replace it in the address.
    if (!isTradesHash(location.hash)) Object.assign(view, fromHash(location.hash))
  }
  addEventListener('hashchange', read)
  onScopeDispose(() => removeEventListener('hashchange', read))
  watch(
    () => toHash(view),
    (hash) => history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search),
  )
  return view
}
