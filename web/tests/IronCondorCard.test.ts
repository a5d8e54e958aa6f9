import { createApp, nextTick, shallowReactive, shallowRef, type App } from 'vue'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Condor, Document } from '../src/document'
import IronCondorCard from '../src/IronCondorCard.vue'
import { createLive, type Live } from '../src/live'
import { AS_OF, condor, document as account, quote, status, valuation } from './account'

const apps: App[] = []

function mount(live: Live | Record<keyof Live, never>, id: string) {
  const host = document.createElement('div')
  const app = createApp(IronCondorCard, { live: live as Live, id })
  app.mount(host)
  apps.push(app)
  const words = (selector: string) => [...host.querySelectorAll(selector)].map((each) => each.textContent!.trim().replace(/\s+/g, ' '))
  return { host, words, look: () => host.querySelector('article')!.dataset['look'] }
}

function card(each: Condor = condor(), changes: Partial<Document> = {}) {
  const { live, link, show } = createLive(Date.parse(AS_OF))
  link.value = { state: 'open', since: Date.parse(AS_OF), retryAt: null }
  show(account('e-1', [each], changes))
  return { ...mount(live, each.id), live, link, show }
}

const without = (missing: string[]) =>
  valuation(condor().id, {
    mark: null,
    natural: null,
    unrealizedPl: null,
    naturalPl: null,
    percentOfMaxProfit: null,
    percentOfRisk: null,
    missing,
    legs: condor().legs.map(({ symbol }) => ({ symbol, unrealizedPl: missing.includes(symbol) ? null : 10 })),
  })

afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
  vi.useRealTimers()
})

describe('a card', () => {
  it('says what is held, what it is worth and what it may become', () => {
    const { words, host } = card()
    expect(words('h2')).toEqual(['SPY'])
    expect(words('header p')).toEqual(['Dec 18, 2026 · 28 days', 'short iron condor × 2', '705 / 715 / 770 / 780'])
    expect(words('.condor-pl')[0]).toContain('▲ +155.00')
    expect(words('.condor-pl')[0]).toContain('24.14 % of max profit')
    expect(words('dd')).toEqual(['3.21', '2.435', '2.48', '+146.00', '642.00', '1,358.00'])
    expect(host.querySelector('.condor-payoff')!.getAttribute('aria-label')).toBe(
      'Payoff at expiration from −1,358.00 to +642.00; short strikes 715 and 770; breakevens 711.79 and 773.21; now +155.00',
    )
    expect(words('footer')).toEqual(['Quotes 2 s old · indicative · simulator'])
  })

  it('has a row a leg, with its quote and what is odd about that', () => {
    const [first, second] = condor().legs
    const quotes = [
      quote(first!.symbol, { bid: 0, state: 'zeroBid' }),
      quote(second!.symbol, { unconfirmed: true }),
    ]
    const { words } = card(condor(), { quotes })
    expect(words('tbody th')).toEqual(['+2 705 putno bid', '−2 715 putunconfirmed', '−2 770 callno quote', '+2 780 callno quote'])
    expect(words('tbody tr:first-child td')).toEqual(['0.00', '2.66', '2.645', '+38.75'])
    expect(words('tbody tr:last-child td')).toEqual(['—', '—', '—', '+38.75'])
  })

  it('shows an em dash for what is not known, and says which leg is missing', () => {
    const { words, look } = card(condor('SPY', { valuation: without([condor().legs[0]!.symbol]) }))
    expect(look()).toBe('incomplete')
    expect(words('.condor-pl b')).toEqual(['—'])
    expect(words('dd').slice(1, 4)).toEqual(['—', '—', '—'])
    expect(words('li')).toEqual(['Leg missing: no quote for 705 put'])
  })

  it('shows a loss by arrow and sign', () => {
    const { words, host } = card(condor('SPY', { valuation: valuation(condor().id, { unrealizedPl: -65 }) }))
    expect(words('.condor-pl b')).toEqual(['▼ −65.00'])
    expect(host.querySelector('.condor-pl')!.getAttribute('data-sign')).toBe('-1')
  })

  it('draws no payoff without a credit, and no session before there is one', () => {
    const { host } = card(condor('SPY', { credit: null }))
    expect(host.querySelectorAll('svg')).toHaveLength(0)
  })

  it('draws the session', () => {
    const { host } = card(condor('SPY', { history: { seconds: [0, 60], cents: [-500, 1000] } }))
    expect(host.querySelector('.condor-spark')!.getAttribute('aria-label')).toBe('P/L this session from −5.00 to +10.00')
  })

  it.each(['halted', 'stale', 'reconnecting', 'starting', 'closed'] as const)(
    'keeps the last number and says so in words when the feed is %s',
    (state) => {
      const { words, look } = card(condor(), { status: status({ state }) })
      expect(look()).toBe(state === 'halted' || state === 'closed' ? state : 'stale')
      expect(words('.condor-pl b')).toEqual(['▲ +155.00'])
      expect(words('li')).toHaveLength(1)
    },
  )

  it('looks lost when the daemon is, and well again after', async () => {
    const { link, look } = card()
    expect(look()).toBe('live')
    link.value = { state: 'reconnecting', since: Date.parse(AS_OF), retryAt: null }
    await nextTick()
    expect(look()).toBe('lost')
    link.value = { state: 'open', since: Date.parse(AS_OF), retryAt: null }
    await nextTick()
    expect(look()).toBe('live')
  })

  it('looks new when it came while one looked on', async () => {
    const { live, show } = createLive(Date.parse(AS_OF))
    show(account('e-1', []))
    const { words } = mount(live, condor().id)
    expect(words('article')).toEqual([`No condor ${condor().id} is held.`])
    show(account('e-2'))
    await nextTick()
    expect(words('li').at(-1)).toBe('New since 10:31:00 EST')
  })

  it('waits for the daemon before it says that there is no such condor', () => {
    expect(mount(createLive(0).live, 'SPY').words('article')).toEqual(['Waiting for condord …'])
  })

  it('takes a store that has unwrapped the refs', () => {
    const { live, show } = createLive(Date.parse(AS_OF))
    show(account('e-1'))
    const store = shallowReactive(Object.fromEntries(Object.entries(live).map(([key, each]) => [key, each.value])))
    expect(mount(store as never, condor().id).words('h2')).toEqual(['SPY'])
  })

  it('lights up what has changed, for a moment', async () => {
    vi.useFakeTimers()
    const { show, host } = card()
    const lit = () => [...host.querySelectorAll<HTMLElement>('[data-flash]')].map((each) => [each.textContent, each.dataset['flash']])
    const becomes = async (mark: number) => {
      show(account(`e-${mark}`, [condor('SPY', { valuation: valuation(condor().id, { mark }) })]))
      await nextTick()
      return lit()
    }
    expect(lit()).toEqual([])
    expect(await becomes(2.5)).toEqual([['2.50', 'up']])
    vi.advanceTimersByTime(400)
    expect(lit()).toEqual([])
    expect(await becomes(2.4)).toEqual([['2.40', 'down']])
  })
})

describe('the address of a card', () => {
  it('may change', async () => {
    const { live, show } = createLive(Date.parse(AS_OF))
    show(account('e-1', [condor('SPY'), condor('QQQ')]))
    const id = shallowRef(condor('SPY').id)
    const host = document.createElement('div')
    const { h } = await import('vue')
    const app = createApp({ render: () => h(IronCondorCard, { live, id: id.value }) })
    app.mount(host)
    apps.push(app)
    id.value = condor('QQQ').id
    await nextTick()
    expect(host.querySelector('h2')!.textContent).toBe('QQQ')
  })
})
