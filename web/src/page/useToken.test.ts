import { effectScope, type EffectScope } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { takeToken, useToken } from './useToken'

const KEY = 'condord token /'
const scopes: EffectScope[] = []

function used() {
  const scope = effectScope()
  scopes.push(scope)
  return scope.run(useToken)!
}

/** Another tab of the origin stores a token or removes it. */
function elsewhere(value: string | null, key: string | null = KEY) {
  if (value === null) localStorage.removeItem(KEY)
  else localStorage.setItem(KEY, value)
  dispatchEvent(Object.assign(new Event('storage'), { key }))
}

beforeEach(() => {
  localStorage.clear()
  history.replaceState(null, '', '/')
})
afterEach(() => {
  for (const scope of scopes.splice(0)) scope.stop()
  vi.restoreAllMocks()
})

describe('the hash of an address', () => {
  it.each([
    ['', null, ''],
    ['#sort=worst', null, 'sort=worst'],
    ['#token=abc', 'abc', ''],
    ['#sort=worst&token=abc&show=losing', 'abc', 'sort=worst&show=losing'],
    ['#token=a%2Bb%20%23c', 'a+b #c', ''],
    ['#token=a+b/c==', 'a+b/c==', ''],
    ['#token=100%', '100%', ''],
    ['#token=', null, ''],
    ['#mytoken=abc', null, 'mytoken=abc'],
  ])('%s contains the token %s and the rest %s', (hash, token, rest) => {
    expect(takeToken(hash)).toEqual({ token, rest })
  })
})

describe('the token', () => {
  it('is moved from the address to the storage', () => {
    history.replaceState(null, '', '/?a=b#sort=worst&token=a%2Bb')
    const before = history.length
    expect(used().token.value).toBe('a+b')
    expect(localStorage.getItem(KEY)).toBe('a+b')
    expect([location.search, location.hash, history.length]).toEqual(['?a=b', '#sort=worst', before])
    expect(document.cookie).toBe('')
  })

  it('is taken when the address of an open page changes', () => {
    const { token, attempt } = used()
    history.replaceState(null, '', '/#token=abc')
    dispatchEvent(new Event('hashchange'))
    expect([token.value, attempt.value, location.hash]).toEqual(['abc', 1, ''])
  })

  it('is found by a page that is opened later, but not under another path', () => {
    used().set('abc')
    expect(used().token.value).toBe('abc')
    history.replaceState(null, '', '/condord/')
    expect(used().token.value).toBeNull()
  })

  it('can be forgotten, and no request follows until there is another', () => {
    const { token, isForgotten, set, forget } = used()
    set('abc')
    forget()
    expect([token.value, isForgotten.value, localStorage.getItem(KEY)]).toEqual([null, true, null])
    set('def')
    expect([token.value, isForgotten.value]).toEqual(['def', false])
  })

  it('can be set again, even to the same value', () => {
    const { attempt, set } = used()
    set('abc')
    set('abc')
    expect(attempt.value).toBe(2)
  })

  it('is adopted from other tabs', () => {
    const { token, isForgotten, attempt } = used()
    elsewhere('abc')
    expect([token.value, attempt.value]).toEqual(['abc', 1])
    elsewhere('abc')
    elsewhere('def', 'of another')
    expect([token.value, attempt.value]).toEqual(['abc', 1])
    elsewhere(null)
    expect([token.value, isForgotten.value]).toEqual([null, true])
    elsewhere('ghi', null)
    expect([token.value, isForgotten.value]).toEqual(['ghi', false])
  })

  it('is kept in this tab if the browser stores nothing', () => {
    for (const name of ['getItem', 'setItem', 'removeItem'] as const) {
      vi.spyOn(Storage.prototype, name).mockImplementation(() => {
        throw new DOMException('no storage', 'SecurityError')
      })
    }
    history.replaceState(null, '', '/#token=abc')
    const { token, forget } = used()
    expect([token.value, location.hash]).toEqual(['abc', ''])
    forget()
    expect(token.value).toBeNull()
  })
})
