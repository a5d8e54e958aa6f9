import axe from 'axe-core'
import { createApp, nextTick, type App as Application, type Component } from 'vue'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Condor, Document } from '../src/document'
import IronCondorCard from '../src/IronCondorCard.vue'
import { createLive, type Live, type Link } from '../src/live'
import App from '../src/page/App.vue'
import { alert, AS_OF, broken, condor, document as account, totals, loaded } from './account'
import { LOOKS } from './looks'

/**
 * Rules on contrast, target size and scrolling need a layout, which happy-dom does not have. tests/browser checks them.
 */
const WITHOUT_LAYOUT = ['color-contrast', 'target-size', 'scrollable-region-focusable']
/** The head that index.html gives the page. */
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

it('axe finds faults in a page that has some', async () => {
  document.body.innerHTML = '<main><h1>condord</h1><svg role="img"></svg><input></main>'
  expect((await faults(document)).map((fault) => fault.split(':')[0])).toEqual(['label', 'svg-img-alt'])
})

describe('axe finds nothing', () => {
  for (const { look, notes, condor: shownCondor, changes, link } of LOOKS) {
    const name = `${look}${notes.length ? ` (${notes.join(', ')})` : ''}`

    it(`in a card that is ${name}`, async () => {
      mount(IronCondorCard, { live: shown([shownCondor], changes, link), id: shownCondor.id })
      expect(await faults(document.body.firstElementChild!)).toEqual([])
    })

    it(`in a page whose card is ${name}`, async () => {
      mount(App, { live: shown([shownCondor, condor('QQQ')], changes, link) })
      expect(await faults(document)).toEqual([])
    })
  }

  it('in a table with groups, marks and an opened row', async () => {
    location.hash = '#view=table&group=underlying'
    const held = [condor('SPY'), condor('QQQ')]
    const alerts = [alert('x', { condorId: held[0]!.id, severity: 'critical' })]
    mount(App, { live: shown(held, { alerts, broken: [broken('TORN-1', {})] }, 'open') })
    await loaded()
    document.querySelector<HTMLElement>('tr[data-condor] button')!.click()
    await loaded()
    expect(document.querySelectorAll('tr[data-condor], .opened, .of-mark .condor-severity')).toHaveLength(6)
    expect(await faults(document)).toEqual([])
  })

  it('in a card that is new and one without a condor', async () => {
    const { live, link, show } = createLive(NOW)
    link.value = { state: 'open', since: NOW, retryAt: null }
    show(account('e-1', []))
    mount(IronCondorCard, { live, id: 'SPY' })
    show(account('e-2'))
    mount(IronCondorCard, { live, id: condor().id })
    expect([...document.querySelectorAll('article')].map((card) => card.dataset['look'])).toEqual(['absent', 'new'])
    for (const host of document.body.children) expect(await faults(host)).toEqual([])
  })

  it('in a page before the first document, without condors, and with everything', async () => {
    const { live, link, show } = createLive(NOW)
    location.hash = '#announce=on'
    mount(App, { live })
    expect(await faults(document)).toEqual([])
    link.value = { state: 'open', since: NOW, retryAt: null }
    show(account('e-1', []))
    await nextTick()
    expect(await faults(document)).toEqual([])
    const figures = { unrealizedPl: 1, dayPl: null, maxLoss: null }
    const byUnderlying = [{ underlying: 'QQQ', ...figures }, { underlying: 'SPY', ...figures }]
    show(account('e-2', [condor('SPY'), condor('QQQ')], { totals: totals({ incomplete: 1, condors: 2, byUnderlying }) }))
    await nextTick()
    expect(document.querySelectorAll('article')).toHaveLength(2)
    expect(await faults(document)).toEqual([])
  })
})
