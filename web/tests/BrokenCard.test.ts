import { createApp, nextTick, type App } from 'vue'
import { afterEach, describe, expect, it } from 'vitest'
import type { Broken, Document } from '../src/document'
import IronCondorCard from '../src/IronCondorCard.vue'
import { createLive } from '../src/live'
import { alert, AS_OF, condor, document as account, status, loaded } from './account'

const apps: App[] = []
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
})

const ID = condor().id
const lacking = (...held: [number, number, number, number]): Broken => {
  const { kind, direction, underlying, root, expiration, daysToExpiration, quantity, legs } = condor()
  const left = legs.map(({ symbol, right, strike, side }, at) => ({ symbol, right, strike, side, quantity, held: held[at]! }))
  const missing = left.filter((leg) => leg.held < quantity).map(({ symbol }) => symbol)
  const facts = { kind, direction, underlying, root, expiration, daysToExpiration, quantity, openedAt: null }
  return { id: ID, ...facts, legs: left, missing, unrealizedPl: -65, since: AS_OF }
}

async function card(broken: Broken, changes: Partial<Document> = {}) {
  const { live, link, show } = createLive(Date.parse(AS_OF))
  link.value = { state: 'open', since: Date.parse(AS_OF), retryAt: null }
  show(account('e-1', [], { broken: [broken], ...changes }))
  const host = document.createElement('div')
  const app = createApp(IronCondorCard, { live, id: ID })
  app.mount(host)
  apps.push(app)
  await loaded()
  const words = (selector: string) => [...host.querySelectorAll(selector)].map((element) => element.textContent!.trim().replace(/\s+/g, ' '))
  return { host, words, link, show, data: () => ({ ...host.querySelector('article')!.dataset }), isOld: () => host.querySelector('article')!.hasAttribute('data-old') }
}

describe('the card of a broken condor', () => {
  it('is titled with what is missing, and has what is left', async () => {
    const { words, data } = await card(lacking(0, 2, 1, 2))
    expect(words('h2')).toEqual(['SPY lost its 2 long puts 705 and 1 of its 2 short calls 770'])
    expect(words('header p')).toEqual(['28 days', 'Was a short iron condor 705/715/770/780 ×2', 'Fri, Dec 18'])
    expect(words('.condor-pl b')).toEqual(['−$65.00'])
    expect(words('tbody tr')).toEqual(['+2 705 put02', '−2 715 put20', '−2 770 call11', '+2 780 call20'])
    expect(data()).toEqual({ condor: ID, look: 'broken', state: 'live', severity: 'critical', density: 'comfortable' })
  })

  it('has the sentence of its alert, or names since when it is broken', async () => {
    const broken = lacking(2, 2, 0, 2)
    expect((await card(broken)).words('.condor-alarm li')).toEqual(['Broken since 10:31:00 ET: it has lost its 2 short calls 770.'])
    const alerts = [alert('broken-condor:x', { condorId: ID, severity: 'critical', text: 'SPY 705: it lost the 770 call.' })]
    expect((await card(broken, { alerts })).words('.condor-alarm li')).toEqual(['It lost the 770 call.'])
  })

  it('keeps its place, and is replaced when the condor is whole again', async () => {
    const { show, data, words } = await card(lacking(0, 0, 2, 2))
    show(account('e-2'))
    await nextTick()
    expect([data()['condor'], data()['look'], words('h2')[0]]).toEqual([ID, 'new', 'SPY'])
  })

  it('is dimmed while its numbers are old', async () => {
    const { isOld, link } = await card(lacking(0, 2, 2, 2))
    expect(isOld()).toBe(false)
    link.value = { ...link.value, state: 'reconnecting' }
    await nextTick()
    expect(isOld()).toBe(true)
    expect((await card(lacking(0, 2, 2, 2), { status: status({ state: 'closed' }) })).isOld()).toBe(false)
    expect((await card(lacking(0, 2, 2, 2), { status: status({ state: 'halted' }) })).isOld()).toBe(true)
  })
})
