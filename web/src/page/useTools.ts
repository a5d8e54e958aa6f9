/** Parts that few visits need: the columns of the table, and the search. Each is loaded with the first view that needs it. */
import { shallowRef, watch, type Ref } from 'vue'
import { isColumnSort, type Tools, type View } from './view'

export function useTools(view: View): Readonly<Ref<Tools>> {
  const tools = shallowRef<Tools>({})

  async function load(hasColumns: boolean, hasSearch: boolean) {
    if (hasColumns && !tools.value.columns) {
      const { COLUMNS: columns } = await import('./columns')
      tools.value = { ...tools.value, columns }
    }
    if (hasSearch && !tools.value.finder) {
      const { finder } = await import('./find')
      tools.value = { ...tools.value, finder }
    }
  }

  watch(
    [() => view.view === 'table' || isColumnSort(view), () => view.find !== ''] as const,
    ([hasColumns, hasSearch]) => void load(hasColumns, hasSearch),
    { immediate: true },
  )
  return tools
}
