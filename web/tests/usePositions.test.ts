import { effectScope, ref, type EffectScope } from 'vue'
import { afterEach, describe, expect, it } from 'vitest'
import type { Address } from '../src/address'
import type { LiveConnection } from '../src/live'
import { LIMIT_MS, usePositions } from '../src/usePositions'
import { AS_OF, document } from './account'
import { Tab } from './world'

const scopes: EffectScope[] = []
const settled = () => new Promise((resolve) => setTimeout(resolve))

function use(tab: Tab, seconds = 5, url: () => Address = () => 'http://condord.test/api/positions', headers = {}): LiveConnection {
  const scope = effectScope()
  scopes.push(scope)
  return scope.run(() => usePositions(url, { environment: tab, seconds, headers }))!
}

const answer = (version: string) => () => new Response(JSON.stringify(document(version)), { headers: { ETag: `W/"${version}"` } })
const silence = () => new Promise<Response>(() => {})
const unchanged = () => new Response(null, { status: 304 })

afterEach(() => {
  for (const scope of scopes.splice(0)) scope.stop()
})

it('requests at once and five seconds after each answer', async () => {
  const tab = new Tab()
  tab.answers.push(answer('e-1'), answer('e-2'))
  const live = use(tab)
  await settled()
  expect(live.document.value?.version).toBe('e-1')
  expect(live.link.value.state).toBe('open')
  tab.world.pass(4999)
  expect(tab.fetches).toHaveLength(1)
  tab.world.pass(1)
  await settled()
  expect(live.document.value?.version).toBe('e-2')
})

it('sends the ETag and keeps the document on 304', async () => {
  const tab = new Tab()
  tab.answers.push(answer('e-1'), unchanged)
  const live = use(tab)
  await settled()
  const before = live.document.value
  tab.world.pass(5000)
  await settled()
  expect(tab.fetches.map((headers) => headers.get('If-None-Match'))).toEqual([null, 'W/"e-1"'])
  expect(live.document.value).toBe(before)
  expect(live.link.value.state).toBe('open')
})

it('keeps the last document and its time while the daemon cannot be reached, and recovers', async () => {
  const tab = new Tab()
  tab.answers.push(answer('e-1'))
  const live = use(tab)
  await settled()
  const heardAt = tab.now()
  tab.world.pass(5000)
  await settled()
  expect(live.document.value?.version).toBe('e-1')
  expect(live.link.value).toMatchObject({ state: 'reconnecting', since: heardAt, retryAt: tab.now() + 5000, error: { code: 'unreachable' } })
  tab.answers.push(answer('e-2'))
  tab.world.pass(5000)
  await settled()
  expect(live.link.value.state).toBe('open')
  expect(live.document.value?.version).toBe('e-2')
})

it('treats an error status as a failure', async () => {
  const tab = new Tab()
  tab.answers.push(() => new Response('{}', { status: 503 }))
  const live = use(tab)
  await settled()
  expect(live.link.value.state).toBe('reconnecting')
  expect(live.document.value).toBeNull()
})

it('is refused with a wrong token and keeps requesting', async () => {
  const tab = new Tab()
  tab.answers.push(() => new Response('{}', { status: 401 }), answer('e-1'))
  const live = use(tab)
  await settled()
  expect(live.link.value).toMatchObject({ state: 'refused', retryAt: tab.now() + 5000 })
  tab.world.pass(5000)
  await settled()
  expect(live.link.value.state).toBe('open')
})

it('stops with its scope', async () => {
  const tab = new Tab()
  tab.answers.push(answer('e-1'))
  use(tab)
  await settled()
  scopes.pop()!.stop()
  tab.world.pass(60_000)
  expect(tab.fetches).toHaveLength(1)
  expect(tab.world.pending).toBe(0)
})

it('gives up a request after ten seconds and retries', async () => {
  const tab = new Tab()
  tab.answers.push(answer('e-1'), silence, answer('e-2'))
  const live = use(tab)
  await settled()
  const heardAt = tab.now()
  tab.world.pass(5000 + LIMIT_MS - 1)
  await settled()
  expect(live.link.value.state).toBe('open')
  tab.world.pass(1)
  await settled()
  expect(live.link.value).toMatchObject({ state: 'reconnecting', since: heardAt, retryAt: tab.now() + 5000, error: { code: 'unreachable' } })
  tab.world.pass(5000)
  await settled()
  expect(live.link.value.state).toBe('open')
  expect(live.document.value?.version).toBe('e-2')
})

it('applies the limit to the body as well', async () => {
  const tab = new Tab()
  let body!: ReadableStreamDefaultController
  tab.answers.push(() => new Response(new ReadableStream({ start: (controller) => void (body = controller) })))
  const fetch = tab.fetch.bind(tab)
  tab.fetch = (url, init) => {
    init.signal!.addEventListener('abort', () => body.error(new DOMException('aborted')))
    return fetch(url, init)
  }
  const live = use(tab)
  await settled()
  tab.world.pass(LIMIT_MS)
  await settled()
  expect(live.link.value.state).toBe('reconnecting')
})

it('updates the time by the daemon\'s clock every second, even without answers', async () => {
  const tab = new Tab()
  tab.answers.push(answer('e-1'), silence)
  const live = use(tab)
  await settled()
  const times: number[] = []
  for (let second = 0; second < 8; second++) {
    times.push(live.now.value - Date.parse(AS_OF))
    tab.world.pass(1000)
  }
  expect(times).toEqual([0, 1000, 2000, 3000, 4000, 5000, 6000, 7000])
})

it.each([NaN, 0, -5, 0.2])('requests at most once a second, even with %d for the seconds', async (seconds) => {
  const tab = new Tab()
  use(tab, seconds)
  await settled()
  tab.world.pass(999)
  expect(tab.fetches).toHaveLength(1)
  tab.world.pass(1)
  expect(tab.fetches).toHaveLength(2)
})

it('requests at least once an hour, as browsers treat an infinite timeout as 0', async () => {
  const tab = new Tab()
  use(tab, Infinity)
  await settled()
  tab.world.pass(3_599_999)
  expect(tab.fetches).toHaveLength(1)
  tab.world.pass(1)
  expect(tab.fetches).toHaveLength(2)
})

it('starts empty when the address changes and ignores late answers of the old one', async () => {
  const tab = new Tab()
  const url = ref('http://condord.test/api/positions')
  let answerLate!: (response: Response) => void
  tab.answers.push(answer('e-1'), () => new Promise((resolve) => (answerLate = resolve)), silence)
  const live = use(tab, 5, () => url.value)
  await settled()
  tab.world.pass(5000)
  url.value = 'http://other.test/api/positions'
  answerLate(answer('e-2')())
  await settled()
  expect(live.document.value).toBeNull()
  expect(live.condors.value.size).toBe(0)
  expect(live.link.value.state).toBe('connecting')
  expect(tab.fetches.map((headers) => headers.get('If-None-Match'))).toEqual([null, 'W/"e-1"', null])
})

it('names an invalid address', () => {
  expect(() => use(new Tab(), 5, () => 'http://')).toThrow('"http://" is not an http or https address')
})

/** An answer that is not JSON. `json` of Node's own Response would throw the SyntaxError of Node, not that of this context. */
const page = () => Object.assign(new Response('<html>'), { json: async () => JSON.parse('<html>') as unknown })

describe('the error', () => {
  it.each([
    [() => new Response('{}', { status: 401 }), {}, 'token', 'http://condord.test requires a token: pass it with the option headers'],
    [() => new Response('{}', { status: 401 }), { Authorization: 'Bearer x' }, 'token', 'does not accept the given token'],
    [() => new Response('{}', { status: 404 }), {}, 'address', 'its address ends with /api/positions'],
    [page, {}, 'address', 'There is no condord at http://condord.test/api/positions'],
    [() => new Response('{}', { status: 421 }), {}, 'host', 'does not serve the name condord.test: add it to its server.allowed_hosts'],
    [() => new Response('', { status: 502 }), {}, 'unreachable', 'answers with status 502'],
    [() => Promise.reject(new TypeError('failed')), {}, 'origin', `add ${location.origin} to its server.allowed_origins`],
  ])('states what is wrong and what to do: %#', async (reply, headers, code, words) => {
    const tab = new Tab()
    tab.answers.push(reply as () => Response, answer('e-1'))
    const live = use(tab, 5, undefined, headers)
    await settled()
    expect(live.error.value).toMatchObject({ code, message: expect.stringContaining(words) as string })
    tab.world.pass(5000)
    await settled()
    expect([live.error.value, live.readyState.value]).toEqual([null, 'OPEN'])
  })
})

it('tries again at once with open, but does not interrupt a request', async () => {
  const tab = new Tab()
  const live = use(tab)
  live.open()
  await settled()
  expect(tab.fetches).toHaveLength(1)
  tab.answers.push(answer('e-1'))
  live.open()
  await settled()
  expect(tab.fetches).toHaveLength(2)
  expect(live.readyState.value).toBe('OPEN')
})

it('requests nothing after close, and begins again with open', async () => {
  const tab = new Tab()
  tab.answers.push(answer('e-1'), answer('e-2'))
  const live = use(tab)
  await settled()
  live.close()
  tab.world.pass(60_000)
  expect([tab.fetches.length, live.readyState.value, live.document.value?.version]).toEqual([1, 'CLOSED', 'e-1'])
  live.open()
  await settled()
  expect([live.readyState.value, live.document.value?.version]).toEqual(['OPEN', 'e-2'])
})

it('waits for an address', async () => {
  const tab = new Tab()
  const url = ref<Address>(null)
  const live = use(tab, 5, () => url.value)
  await settled()
  expect([tab.fetches.length, live.readyState.value]).toEqual([0, 'CONNECTING'])
  tab.answers.push(answer('e-1'))
  url.value = new URL('http://condord.test/api/positions')
  await settled()
  expect(live.document.value?.version).toBe('e-1')
})
