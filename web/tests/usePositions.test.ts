import { effectScope, type EffectScope } from 'vue'
import { afterEach, expect, it } from 'vitest'
import type { Live } from '../src/live'
import { usePositions } from '../src/usePositions'
import { document } from './account'
import { Tab } from './world'

const scopes: EffectScope[] = []
const settled = () => new Promise((resolve) => setTimeout(resolve))

function use(tab: Tab): Live {
  const scope = effectScope()
  scopes.push(scope)
  return scope.run(() => usePositions('http://condord.test/api/positions', { environment: tab, seconds: 5 }))!
}

const answer = (version: string) => () => new Response(JSON.stringify(document(version)), { headers: { ETag: `W/"${version}"` } })
const unchanged = () => new Response(null, { status: 304 })

afterEach(() => {
  for (const scope of scopes.splice(0)) scope.stop()
})

it('asks at once, and again five seconds after each answer', async () => {
  const tab = new Tab()
  tab.answers.push(answer('e-1'), answer('e-2'))
  const live = use(tab)
  await settled()
  expect(live.document.value?.version).toBe('e-1')
  expect(live.link.value.state).toBe('open')
  tab.world.pass(4999)
  expect(tab.asked).toHaveLength(1)
  tab.world.pass(1)
  await settled()
  expect(live.document.value?.version).toBe('e-2')
})

it('asks for what is newer than what it has, and keeps that where nothing is', async () => {
  const tab = new Tab()
  tab.answers.push(answer('e-1'), unchanged)
  const live = use(tab)
  await settled()
  const before = live.document.value
  tab.world.pass(5000)
  await settled()
  expect(tab.asked.map((headers) => headers.get('If-None-Match'))).toEqual([null, 'W/"e-1"'])
  expect(live.document.value).toBe(before)
  expect(live.link.value.state).toBe('open')
})

it('keeps the last document while the daemon cannot be reached, says since when, and comes back', async () => {
  const tab = new Tab()
  tab.answers.push(answer('e-1'))
  const live = use(tab)
  await settled()
  const heardAt = tab.now()
  tab.world.pass(5000)
  await settled()
  expect(live.document.value?.version).toBe('e-1')
  expect(live.link.value).toEqual({ state: 'reconnecting', since: heardAt, retryAt: tab.now() + 5000 })
  tab.answers.push(answer('e-2'))
  tab.world.pass(5000)
  await settled()
  expect(live.link.value.state).toBe('open')
  expect(live.document.value?.version).toBe('e-2')
})

it('takes an error of the daemon for no answer', async () => {
  const tab = new Tab()
  tab.answers.push(() => new Response('{}', { status: 503 }))
  const live = use(tab)
  await settled()
  expect(live.link.value.state).toBe('reconnecting')
  expect(live.document.value).toBeNull()
})

it('asks no more once its scope has ended', async () => {
  const tab = new Tab()
  tab.answers.push(answer('e-1'))
  use(tab)
  await settled()
  scopes.pop()!.stop()
  tab.world.pass(60_000)
  expect(tab.asked).toHaveLength(1)
  expect(tab.world.pending).toBe(0)
})
