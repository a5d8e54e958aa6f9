import { createApp, nextTick, type App } from 'vue'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Broken, Document } from '../src/document'
import IronCondorCard from '../src/IronCondorCard.vue'
import { createLive } from '../src/live'
import { forget } from '../src/unfolded'
import { alert, AS_OF, condor, document as account, loaded, quote, status } from './account'

const apps: App[] = []
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
})

const ID = condor().id
const lacking = (...held: [number, number, number, number]): Broken => {
  const { kind, direction, underlying, root, expiration, daysToExpiration, quantity, legs } = condor()
  const left = legs.map(({ symbol, right, strike, side }, at) => ({ symbol, right, strike, side, quantity, held: held[at]! }))
  const missing = left.filter((leg) => leg.held < quantity).map(({ symbol }) => symbol)
  const facts = { kind, direction, underlying, root, expiration, daysToExpiration, quantity, openedAt: null, expiry: null }
  return { id: ID, ...facts, legs: left, missing, unrealizedPl: -65, since: AS_OF }
}

const quotes = condor().legs.map(({ symbol }) => quote(symbol))

async function card(broken: Broken, changes: Partial<Document> = {}, onCopy?: (copied: unknown) => void) {
  const { live, link, show } = createLive(Date.parse(AS_OF))
  link.value = { state: 'open', since: Date.parse(AS_OF), retryAt: null }
  show(account('e-1', [], { broken: [broken], quotes, ...changes }))
  const host = document.createElement('div')
  const app = createApp(IronCondorCard, { live, id: ID, ...(onCopy && { onCopy }) })
  app.mount(host)
  apps.push(app)
  await loaded()
  const words = (selector: string) => [...host.querySelectorAll(selector)].map((element) => element.textContent!.trim().replace(/\s+/g, ' '))
  return { host, words, link, show, data: () => ({ ...host.querySelector('article')!.dataset }), isOld: () => host.querySelector('article')!.hasAttribute('data-old') }
}

async function press(host: Element, text: string) {
  ;[...host.querySelectorAll('button')].find((button) => button.textContent === text)!.click()
  await loaded()
}

describe('the card of a broken condor', () => {
  afterEach(forget)

  it('offers the order that closes the legs left', async () => {
    const { host, words, show } = await card(lacking(0, 2, 1, 2))
    expect([words('.condor-actions p'), words('pre')]).toEqual([['3 of 4 legs left'], []])
    await press(host, 'Copy closing order')
    expect(host.querySelector('pre')!.textContent!.split('\n')).toEqual([
      'Close what is left of 2 SPY iron condors, limit a debit of 2.65, day order',
      'Buy to close 2 SPY Dec 18, 2026 715 put',
      'Buy to close 1 SPY Dec 18, 2026 770 call',
      'Sell to close 2 SPY Dec 18, 2026 780 call',
    ])
    expect(words('.condor-order li')).toEqual([])
    show(account('e-2', [], { broken: [lacking(0, 2, 1, 2)], quotes: quotes.map((each) => ({ ...each, unconfirmed: true })) }))
    await nextTick()
    expect(words('.condor-order li')).toEqual(['These prices may be old: Unconfirmed since 10:30:58 ET.'])
    await press(host, 'Copy closing order')
    expect(words('pre')).toEqual([])
  })

  it('warns of prices while the feed is lost', async () => {
    const { host, words } = await card(lacking(0, 2, 2, 2), { status: status({ state: 'halted' }) })
    await press(host, 'Copy closing order')
    expect(words('.condor-order li')).toEqual([expect.stringMatching(/^These prices may be old: Feed halted since /)])
  })

  it('emits the copied text', async () => {
    const copied = vi.fn()
    vi.stubGlobal('navigator', { clipboard: { writeText: async () => {} } })
    const { host } = await card(lacking(0, 0, 0, 2), {}, copied)
    await press(host, 'Copy closing order')
    await press(host, 'Copy JSON for Alpaca')
    expect(copied).toHaveBeenCalledWith(expect.objectContaining({ id: ID, price: 'mid', format: 'json' }))
    expect(JSON.parse(copied.mock.calls[0]![0].content)).toEqual({
      symbol: 'SPY261218C00780000',
      type: 'limit',
      time_in_force: 'day',
      qty: '2',
      limit_price: '2.64',
      side: 'sell',
      position_intent: 'sell_to_close',
    })
    vi.unstubAllGlobals()
  })

  it('names the missing legs in its title, and lists the legs left', async () => {
    const { words, data } = await card(lacking(0, 2, 1, 2))
    expect(words('h2')).toEqual(['SPY lost its 2 long puts 705 and 1 of its 2 short calls 770'])
    expect(words('header p')).toEqual(['28 days', 'Was a short iron condor 705/715/770/780 ×2', 'Fri, Dec 18'])
    expect(words('.condor-pl b')).toEqual(['−$65.00'])
    expect(words('tbody tr')).toEqual(['+2 705 put02', '−2 715 put20', '−2 770 call11', '+2 780 call20'])
    expect(data()).toEqual({ condor: ID, look: 'broken', state: 'live', severity: 'critical', density: 'comfortable' })
  })

  it('has the sentence of its alert, or the time since which it is broken', async () => {
    const broken = lacking(2, 2, 0, 2)
    expect((await card(broken)).words('.condor-alarm li')).toEqual(['Broken since 10:31:00 ET: it has lost its 2 short calls 770.'])
    const alerts = [alert('broken-condor:x', { condorId: ID, severity: 'critical', text: 'SPY 705: it lost the 770 call.' })]
    expect((await card(broken, { alerts })).words('.condor-alarm li')).toEqual(['It lost the 770 call.'])
  })

  it('counts down to the cut-off for orders on the last day, and its closing order warns of one that has passed', async () => {
    const cut = (at: string) => ({ kind: 'orders', at, source: 'config' }) as const
    const soon = new Date(Date.parse(AS_OF) + 600_000).toISOString()
    const on = (at: string, end = soon) => ({ ...lacking(0, 2, 2, 2), expiry: { lastTradingAt: end, settlesAt: end, cutoffs: [cut(at)] } }) as Broken
    const { words } = await card(on(new Date(Date.parse(AS_OF) + 300_000).toISOString()))
    expect(words('.condor-cutoffs').join()).toContain('Orders until 10:36 ET')
    const over = await card(on(new Date(Date.parse(AS_OF) - 300_000).toISOString()))
    expect(over.words('.condor-cutoffs').join().toLowerCase()).toContain('no orders since')
    await press(over.host, 'Copy closing order')
    expect(over.words('.condor-order, .condor-doubts, p').join()).toMatch(/orders? .*since 10:26/i)
    await press(over.host, 'Copy closing order')
    const expired = await card(on(AS_OF, AS_OF))
    expect([expired.words('.condor-days'), expired.words('.condor-cutoffs')]).toEqual([['expired'], []])
    expect(expired.words('button')).not.toContain('Copy closing order')
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
