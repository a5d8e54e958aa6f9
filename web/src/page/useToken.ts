/**
 * The token, kept in the storage of the page's origin and never in a cookie, which browsers send to every port of a host.
 *
 * The address can contain it as `#token=`, a part that browsers do not send to servers. It is removed from there at once.
 */
import { onScopeDispose, shallowRef } from 'vue'

const PARAMETER = 'token='

/** Splits the hash of an address into the token and the rest. */
export function takeToken(hash: string): { token: string | null; rest: string } {
  const parts = hash.slice(1).split('&')
  const isToken = (part: string) => part.startsWith(PARAMETER)
  const escaped = parts.find(isToken)?.slice(PARAMETER.length)
  // Not decoded as a form value, as a `+` is part of the token. So is a percent sign that escapes nothing.
  const token = escaped ? (attempted(() => decodeURIComponent(escaped)) ?? escaped) : null
  return { token, rest: parts.filter((part) => !isToken(part)).join('&') }
}

export function useToken() {
  // The same origin may serve other daemons under other prefixes.
  const key = `condord token ${new URL('.', location.href).pathname}`
  // A browser may refuse to store anything; then only this tab has the token.
  const read = () => attempted(() => localStorage.getItem(key))
  const token = shallowRef(read())
  /** Whether no request is made until there is another token. */
  const isForgotten = shallowRef(false)
  /** Increases with each token, so that the stream is opened again. */
  const attempt = shallowRef(0)

  function accept(value: string | null) {
    token.value = value
    isForgotten.value = value === null
    attempt.value += 1
  }

  function set(value: string) {
    attempted(() => localStorage.setItem(key, value))
    accept(value)
  }

  function forget() {
    attempted(() => localStorage.removeItem(key))
    accept(null)
  }

  function takeFromAddress() {
    const { token, rest } = takeToken(location.hash)
    if (token === null) return
    history.replaceState(null, '', rest ? `#${rest}` : location.pathname + location.search)
    set(token)
  }

  /** Adopts the token of another tab, or forgets it with that tab. */
  function onStorage(event: StorageEvent) {
    // `key` is null if the whole storage was cleared.
    if ((event.key ?? key) === key && token.value !== read()) accept(read())
  }

  takeFromAddress()
  addEventListener('hashchange', takeFromAddress)
  addEventListener('storage', onStorage)
  onScopeDispose(() => {
    removeEventListener('hashchange', takeFromAddress)
    removeEventListener('storage', onStorage)
  })
  return { token, isForgotten, attempt, set, forget }
}

function attempted<Value>(attempt: () => Value): Value | null {
  try {
    return attempt()
  } catch {
    return null
  }
}
