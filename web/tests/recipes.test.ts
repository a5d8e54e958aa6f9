/** Runs the code examples of the docs; `npm run check` checks their types. */
import { readFileSync } from 'node:fs'
import { createPinia } from 'pinia'
import { createApp, h, type Component, type Plugin } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import IronCondorCard from '../src/IronCondorCard.vue'
import { condor, document as account, valuation } from './account'
import Cards from './recipes/Cards.vue'
import cards from './recipes/Cards.vue?raw'
import Short from './recipes/Short.vue'
import short from './recipes/Short.vue?raw'
import { useCondors } from './recipes/store'
import store from './recipes/store.ts?raw'
import { stubEventSource, type FakeSource } from './world'

let opened: FakeSource[]
let requests: [url: string, bearer: string | null][]
let end = () => {}

beforeEach(() => {
  vi.useFakeTimers()
  opened = stubEventSource()
  requests = []
  localStorage.setItem('condord', 'the-token')
  vi.stubGlobal('fetch', async (url: string, { headers }: RequestInit) => {
    requests.push([url, new Headers(headers).get('Authorization')])
    return Response.json({ ticket: 'T1' }, { status: 201 })
  })
})
afterEach(() => {
  end()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** Returns the texts that `component` shows for two condors, one of them losing. */
async function shown(component: Component, ...plugins: Plugin[]) {
  const app = createApp(component)
  for (const plugin of plugins) app.use(plugin)
  const host = document.createElement('main')
  app.mount(host)
  end = () => app.unmount()
  await vi.waitFor(() => expect(opened).toHaveLength(1))
  const losing = condor('QQQ', { valuation: valuation('QQQ', { unrealizedPl: -5 }) })
  opened[0]!.opens()
  opened[0]!.sends('snapshot', account('e-1', [condor(), losing]), 'e-1')
  await vi.advanceTimersByTimeAsync(100)
  return [...host.querySelectorAll('article h2')].map((name) => name.textContent)
}

describe('the recipe', () => {
  it('of a few lines shows a card for each condor', async () => {
    expect(await shown(Cards)).toEqual(['SPY', 'QQQ'])
    expect(requests).toEqual([['http://127.0.0.1:8420/api/tickets', 'Bearer the-token']])
    expect(opened[0]!.url).toBe('http://127.0.0.1:8420/api/stream?ticket=T1')
  })

  it('of a Pinia store shows the condors of its getter', async () => {
    const component = {
      setup() {
        const live = useCondors()
        return () => live.losing.map(({ id }) => h(IronCondorCard, { id, live }))
      },
    }
    expect(await shown(component, createPinia())).toEqual(['QQQ'])
  })

  it('without a token is shorter', async () => {
    expect(await shown(Short)).toEqual(['SPY', 'QQQ'])
    expect(opened[0]!.url).toBe('http://127.0.0.1:8420/api/stream')
  })

  it.each(['README.md', '../docs/guide.md'])('is in %s as it runs here', (path) => {
    const page = readFileSync(path, 'utf8')
    expect(page.includes(`\`\`\`vue\n${cards}\`\`\``)).toBe(true)
    expect(page.includes(`\`\`\`ts\n${store}\`\`\``)).toBe(true)
  })

  it('without a token is in the README as it runs here', () => {
    expect(readFileSync('../README.md', 'utf8').includes(`\`\`\`vue\n${short}\`\`\``)).toBe(true)
  })
})
