import axe from 'axe-core'
import { createApp, nextTick, type App as Application, type Component } from 'vue'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Condor, Document } from '../src/document'
import IronCondorCard from '../src/IronCondorCard.vue'
import { createLive, type Live, type Link } from '../src/live'
import App from '../src/page/App.vue'
import { AS_OF, condor, document as account, totals } from './account'
import { LOOKS } from './looks'

/**
 * Not asked here, as nothing is laid out or painted: contrast, the size of targets, what scrolls. The tests in a browser
 * ask these, too.
 */
const WITHOUT_LAYOUT = ['color-contrast', 'target-size', 'scrollable-region-focusable']
/** What the page has in its index.html. */
const LANGUAGE = 'en'

const NOW = Date.parse(AS_OF)
const apps: Application[] = []

function mount(component: Component, props: Record<string, unknown>) {
  const app = createApp(component, props)
  app.mount(document.body.appendChild(document.createElement('div')))
  apps.push(app)
}

async function faults(context: Element | Page): Promise<string[]> {
  const rules = Object.fromEntries(WITHOUT_LAYOUT.map((id) => [id, { enabled: false }]))
  const { violations, passes } = await axe.run(context as Element, { rules })
  expect(passes).not.toEqual([])
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}`))
}
type Page = typeof globalThis.document

function shown(condors: Condor[], changes: Partial<Document>, state: Link['state']): Live {
  const { live, link, show } = createLive(NOW)
  link.value = { state, since: NOW, retryAt: null }
  show(account('e-1', condors, changes))
  return live
}

beforeEach(() => {
  document.documentElement.lang = LANGUAGE
  document.title = 'condord'
})
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
  document.body.replaceChildren()
  history.replaceState(null, '', '/')
})

it('finds faults here, where there are any', async () => {
  document.body.innerHTML = '<main><h1>condord</h1><svg role="img"></svg><input></main>'
  expect((await faults(document)).map((fault) => fault.split(':')[0])).toEqual(['label', 'svg-img-alt'])
})

describe('axe finds nothing', () => {
  for (const { look, says, condor: each, changes, link } of LOOKS) {
    const name = `${look}${says.length ? ` (${says.join(', ')})` : ''}`

    it(`in a card that is ${name}`, async () => {
      mount(IronCondorCard, { live: shown([each], changes, link), id: each.id })
      expect(await faults(document.body.firstElementChild!)).toEqual([])
    })

    it(`in a page whose card is ${name}`, async () => {
      mount(App, { live: shown([each, condor('QQQ')], changes, link) })
      expect(await faults(document)).toEqual([])
    })
  }

  it('in a card that is new, and one that is absent', async () => {
    const { live, link, show } = createLive(NOW)
    link.value = { state: 'open', since: NOW, retryAt: null }
    show(account('e-1', []))
    mount(IronCondorCard, { live, id: 'SPY' })
    show(account('e-2'))
    mount(IronCondorCard, { live, id: condor().id })
    expect([...document.querySelectorAll('article')].map((card) => card.dataset['look'])).toEqual(['absent', 'new'])
    for (const host of document.body.children) expect(await faults(host)).toEqual([])
  })

  it('in a page before the first document, without condors, and with all there is', async () => {
    const { live, link, show } = createLive(NOW)
    location.hash = '#announce=on'
    mount(App, { live })
    expect(await faults(document)).toEqual([])
    link.value = { state: 'open', since: NOW, retryAt: null }
    show(account('e-1', []))
    await nextTick()
    expect(await faults(document)).toEqual([])
    const each = { unrealizedPl: 1, maxLoss: null }
    const byUnderlying = [{ underlying: 'QQQ', ...each }, { underlying: 'SPY', ...each }]
    show(account('e-2', [condor('SPY'), condor('QQQ')], { totals: totals({ incomplete: 1, condors: 2, byUnderlying }) }))
    await nextTick()
    expect(document.querySelectorAll('article')).toHaveLength(2)
    expect(await faults(document)).toEqual([])
  })
})
