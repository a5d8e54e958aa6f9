/** The settings, reactive. They are stored when they change, applied to the page, and adopted by its other tabs. */
import { onScopeDispose, reactive, watch } from 'vue'
import { DEFAULTS, settingsFrom, type Settings } from './settings'

export const KEY = 'condord.settings'

export function useSettings(): Settings {
  const settings = reactive(settingsFrom(stored()))

  /** `key` is null if the whole storage was cleared. */
  function adopt({ key }: StorageEvent) {
    if (key === null || key === KEY) Object.assign(settings, settingsFrom(stored()))
  }

  addEventListener('storage', adopt)
  onScopeDispose(() => removeEventListener('storage', adopt))
  watch(() => JSON.stringify(settings), store, { flush: 'sync' })
  watch(() => [settings.theme, settings.colours, settings.density], () => apply(settings), { immediate: true, flush: 'sync' })
  return settings
}

function apply({ theme, colours, density }: Settings) {
  Object.assign(document.documentElement.dataset, { theme, colours, density })
}

function stored(): string | null {
  try {
    return localStorage.getItem(KEY)
  } catch {
    return null // The browser refuses to store anything, so each tab has its own settings.
  }
}

function store(text: string) {
  try {
    if (text === stored()) return
    if (text === JSON.stringify(DEFAULTS)) localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, text)
  } catch {
    // As above: the settings of this tab apply until it is closed.
  }
}
