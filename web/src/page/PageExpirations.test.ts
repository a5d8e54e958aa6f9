import { createApp, type App, type Component } from 'vue'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { AS_OF, broken, condor, document as account, loaded, unmatched } from '../../tests/account'
import { createLive } from '../live'

const apps: App[] = []
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
  document.body.replaceChildren()
})

const lost = { ...broken('LOST', { A: 1 }), underlying: 'SPY' }
const left = unmatched({ symbol: 'A', averageEntryPrice: 1 })

function page(PageExpirations: Component) {
  const { live, show } = createLive(Date.parse(AS_OF))
  show(account('e-1', [condor()], { broken: [lost], unmatched: [left] }))
  const host = document.body.appendChild(document.createElement('div'))
  const app = createApp(PageExpirations, { live })
  app.mount(host)
  apps.push(app)
  return () => [...host.querySelectorAll('.expiration-detail')].map((each) => each.textContent)
}

describe('the risk of an expiration with a broken condor', () => {
  it('is left out while it is computed for the first time, not called unknown', async () => {
    // The computation is not loaded yet, even if an earlier test has loaded it.
    vi.resetModules()
    const { default: PageExpirations } = await import('./PageExpirations.vue')
    const details = page(PageExpirations)
    expect(details()).toEqual(['SPY · 1 broken'])
    await loaded()
    expect(details()).toEqual([expect.stringMatching(/^SPY · risk \$[\d,]+ · 1 broken$/)])
    // Again, as after the trades were shown.
    const again = page(PageExpirations)
    expect(again()).toEqual(details())
  })
})
