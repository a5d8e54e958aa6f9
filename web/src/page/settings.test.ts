import { effectScope, nextTick, type EffectScope } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { DEFAULTS, settingsFrom } from './settings'
import { KEY, useSettings } from './useSettings'

let scopes: EffectScope[]
const opened = () => {
  const scope = effectScope()
  scopes.push(scope)
  return scope.run(useSettings)!
}

beforeEach(() => {
  scopes = []
  localStorage.clear()
})
afterEach(() => {
  for (const scope of scopes) scope.stop()
  vi.restoreAllMocks()
})

describe('stored settings', () => {
  it('are read one by one, with the default for each that is invalid', () => {
    expect(settingsFrom(null)).toEqual(DEFAULTS)
    expect(settingsFrom('{')).toEqual(DEFAULTS)
    expect(settingsFrom('[]')).toEqual(DEFAULTS)
    expect(settingsFrom('null')).toEqual(DEFAULTS)
    const text = JSON.stringify({ theme: 'dark', colours: 'pink', density: 7, columns: ['pl'], flash: 'toString', notify: 'yes', sound: true })
    expect(settingsFrom(text)).toEqual({ ...DEFAULTS, theme: 'dark', columns: ['pl'], sound: true })
    expect(settingsFrom('{"columns": [1]}').columns).toBeNull()
  })
})

describe('settings', () => {
  it('are kept and applied to the page', async () => {
    const settings = opened()
    expect(document.documentElement.dataset).toMatchObject({ theme: 'system', colours: 'blueOrange', density: 'comfortable' })
    settings.theme = 'dark'
    settings.columns = ['pl']
    await nextTick()
    expect(document.documentElement.dataset['theme']).toBe('dark')
    expect(opened()).toMatchObject({ theme: 'dark', columns: ['pl'] })
  })

  it('reach the other tabs', () => {
    const other = opened()
    localStorage.setItem(KEY, JSON.stringify({ theme: 'light' }))
    dispatchEvent(new StorageEvent('storage', { key: 'else' }))
    expect(other.theme).toBe('system')
    dispatchEvent(new StorageEvent('storage', { key: KEY }))
    expect(other.theme).toBe('light')
    expect(document.documentElement.dataset['theme']).toBe('light')
  })

  it('apply to one tab if the browser refuses to store them', () => {
    const refuse = () => {
      throw new DOMException('refused', 'SecurityError')
    }
    vi.spyOn(Storage.prototype, 'getItem').mockImplementation(refuse)
    vi.spyOn(Storage.prototype, 'setItem').mockImplementation(refuse)
    const settings = opened()
    settings.theme = 'dark'
    expect(document.documentElement.dataset['theme']).toBe('dark')
  })
})
