/** What the READMEs tell others to write, as it stands there: it is run here, and `npm run check` looks at its types. */
import { readFileSync } from 'node:fs'
import { createPinia } from 'pinia'
import { createApp, h, type Component, type Plugin } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import IronCondorCard from '../src/IronCondorCard.vue'
import { condor, document as account, valuation } from './account'
import Cards from './recipes/Cards.vue'
import cards from './recipes/Cards.vue?raw'
import { useCondors } from './recipes/store'
import store from './recipes/store.ts?raw'
import { stubEventSource, type FakeSource } from './world'

let opened: FakeSource[]
let end = () => {}

beforeEach(() => {
  vi.useFakeTimers()
  opened = stubEventSource()
})
afterEach(() => {
  end()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** The texts of what `component` shows of two condors, one of them losing. */
async function shown(component: Component, ...plugins: Plugin[]) {
  const app = createApp(component)
  for (const plugin of plugins) app.use(plugin)
  const host = document.createElement('main')
  app.mount(host)
  end = () => app.unmount()
  await vi.waitFor(() => expect(opened).toHaveLength(1))
  const losing = condor('QQQ', { valuation: valuation('QQQ', { unrealizedPl: -5 }) })
  opened[0]!.opens()
  opened[0]!.says('snapshot', account('e-1', [condor(), losing]), 'e-1')
  await vi.advanceTimersByTimeAsync(100)
  return [...host.querySelectorAll('article h2')].map((name) => name.textContent)
}

describe('the recipe', () => {
  it('of five lines shows a card for each condor', async () => {
    expect(await shown(Cards)).toEqual(['SPY', 'QQQ'])
  })

  it('of a Pinia store shows those of its getter, by the store itself', async () => {
    const component = {
      setup() {
        const live = useCondors()
        return () => live.losing.map(({ id }) => h(IronCondorCard, { id, live }))
      },
    }
    expect(await shown(component, createPinia())).toEqual(['QQQ'])
  })

  it.each(['README.md', '../README.md'])('stands in %s as it was run here', (path) => {
    const told = readFileSync(path, 'utf8')
    expect(told.includes(`\`\`\`vue\n${cards}\`\`\``)).toBe(true)
    expect(told.includes(`\`\`\`ts\n${store}\`\`\``)).toBe(true)
  })
})
