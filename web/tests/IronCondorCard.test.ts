import { readFileSync } from 'node:fs'
import { createApp, nextTick, shallowReactive, shallowRef, type App } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Condor, Document } from '../src/document'
import IronCondorCard from '../src/IronCondorCard.vue'
import source from '../src/IronCondorCard.vue?raw'
import { createLive, type Live } from '../src/live'
import { AS_OF, condor, document as account, quote, status, UNREAD, valuation, without } from './account'
import { LOOKS } from './looks'

const apps: App[] = []

function mount(live: Live | Record<keyof Live, never>, id: string) {
  const host = document.createElement('div')
  const app = createApp(IronCondorCard, { live: live as Live, id })
  app.mount(host)
  apps.push(app)
  const words = (selector: string) => [...host.querySelectorAll(selector)].map((element) => element.textContent!.trim().replace(/\s+/g, ' '))
  return { host, words, look: () => host.querySelector('article')!.dataset['look'] }
}

function card(shown: Condor = condor(), changes: Partial<Document> = {}) {
  const { live, link, show } = createLive(Date.parse(AS_OF))
  link.value = { state: 'open', since: Date.parse(AS_OF), retryAt: null }
  show(account('e-1', [shown], changes))
  return { ...mount(live, shown.id), live, link, show }
}

beforeEach(() => void vi.spyOn(console, 'warn'))
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('a card', () => {
  it('shows the position, its value and its payoff', () => {
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

  it('has a row per leg with its quote and remarks', () => {
    const [first, second, third] = condor().legs
    const quotes = [
      quote(first!.symbol, { bid: 0, state: 'zeroBid' }),
      quote(second!.symbol, { unconfirmed: true }),
      quote(third!.symbol, { ask: 0, mark: null, state: 'noAsk' }),
    ]
    const { words } = card(condor(), { quotes })
    expect(words('tbody th')).toEqual(['+2 705 putno bid', '−2 715 putunconfirmed', '−2 770 callno ask', '+2 780 callno quote'])
    expect(words('tbody tr:first-child td')).toEqual(['0.00', '2.66', '2.645', '+38.75'])
    expect(words('tbody tr:nth-child(3) td')).toEqual(['2.63', '—', '—', '+38.75'])
    expect(words('tbody tr:last-child td')).toEqual(['—', '—', '—', '+38.75'])
  })

  it('shows an em dash for unknown values and names the missing leg', () => {
    const { words, look } = card(condor('SPY', { valuation: without([condor().legs[0]!.symbol]) }))
    expect(look()).toBe('incomplete')
    expect(words('.condor-pl b')).toEqual(['—'])
    expect(words('dd').slice(1, 4)).toEqual(['—', '—', '—'])
    expect(words('li')).toEqual(['Leg missing: no quote for 705 put'])
  })

  it('shows a loss with arrow and sign', () => {
    const { words, host } = card(condor('SPY', { valuation: valuation(condor().id, { unrealizedPl: -65 }) }))
    expect(words('.condor-pl b')).toEqual(['▼ −65.00'])
    expect(host.querySelector('.condor-pl')!.getAttribute('data-sign')).toBe('-1')
  })

  it('draws no payoff without a credit and no session without points', () => {
    const { host } = card(condor('SPY', { credit: null }))
    expect(host.querySelectorAll('svg')).toHaveLength(0)
  })

  it.each(LOOKS)('looks $look with the notes: $notes', async ({ look, isOld, notes, condor: shown, changes, link: state }) => {
    const { host, link, words, look: seen } = card(shown, changes)
    link.value = { ...link.value, state }
    await nextTick()
    expect([seen(), words('li')]).toEqual([look, notes])
    // Old numbers are dimmed but stay, whatever the look is.
    expect(host.querySelector('article')!.hasAttribute('data-old')).toBe(isOld)
    expect(words('.condor-pl b')).toEqual([look === 'incomplete' ? '—' : '▲ +155.00'])
  })

  it('shows in exchange time since when a quote is unconfirmed', () => {
    const [first] = condor().legs
    const quotes = [quote(first!.symbol, { unconfirmed: true, time: '2026-11-20T19:31:02Z' })]
    const { words } = card(condor('SPY', { valuation: valuation('x', { unconfirmed: true }) }), { quotes })
    expect(words('li')).toEqual(['Unconfirmed since 14:31:02 EST'])
  })

  it('shows each notice on its legs, even if two have the same text', async () => {
    const symbols = [condor().legs[0]!.symbol]
    const notice = { code: 'brokenCondor' as const, text: 'legs went', symbols, condorId: null, since: AS_OF }
    const { words, show } = card(condor('SPY', { ambiguous: true }))
    show(account('e-2', undefined, { status: status({ notices: [notice, { ...notice }] }) }))
    await nextTick()
    expect(words('li')).toEqual(['Broken: legs went', 'Broken: legs went'])
    expect(console.warn).not.toHaveBeenCalled()
  })

  it('looks lost without a connection and recovers', async () => {
    const { link, look } = card()
    expect(look()).toBe('live')
    link.value = { state: 'reconnecting', since: Date.parse(AS_OF), retryAt: null }
    await nextTick()
    expect(look()).toBe('lost')
    link.value = { state: 'open', since: Date.parse(AS_OF), retryAt: null }
    await nextTick()
    expect(look()).toBe('live')
  })

  it('looks new if it arrived while the page was open', async () => {
    const { live, show } = createLive(Date.parse(AS_OF))
    show(account('e-1', []))
    const { words } = mount(live, condor().id)
    expect(words('article')).toEqual([`No condor ${condor().id} is held.`])
    show(account('e-2'))
    await nextTick()
    expect(words('li').at(-1)).toBe('New since 10:31:00 EST')
  })

  it('is not new after a restart of the daemon', async () => {
    const { live, link, show } = createLive(Date.parse(AS_OF))
    link.value = { state: 'open', since: Date.parse(AS_OF), retryAt: null }
    show(account('e-1'))
    show(account('f-0', [], { status: status({ positions: UNREAD }) }))
    show(account('f-1', undefined, { status: status({ positions: UNREAD }) }))
    show(account('f-2'))
    expect(mount(live, condor().id).look()).toBe('live')
  })

  it('reports a missing condor only after the daemon has read the account', async () => {
    const { live, link, show } = createLive(Date.parse(AS_OF))
    const { words } = mount(live, 'SPY')
    expect(words('article')).toEqual(['Waiting for condord …'])
    show(account('e-1', [], { status: status({ positions: UNREAD }) }))
    await nextTick()
    expect(words('article')).toEqual(['Waiting for condord …'])
    show(account('e-2', []))
    await nextTick()
    expect(words('article')).toEqual(['No condor SPY is held.'])
    link.value = { state: 'reconnecting', since: Date.parse(AS_OF), retryAt: null }
    await nextTick()
    expect(words('article')).toEqual(['No condor SPY is held. No connection to condord since 10:31:00 EST.'])
  })

  it('accepts a store, which unwraps the refs', () => {
    const { live, show } = createLive(Date.parse(AS_OF))
    show(account('e-1'))
    const store = shallowReactive(Object.fromEntries(Object.entries(live).map(([key, ref]) => [key, ref.value])))
    expect(mount(store as never, condor().id).words('h2')).toEqual(['SPY'])
  })

  it('highlights changed numbers for a moment', async () => {
    vi.useFakeTimers()
    const { show, host } = card()
    const lit = () => [...host.querySelectorAll<HTMLElement>('[data-flash]')].map((element) => [element.textContent, element.dataset['flash']])
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

describe('the session', () => {
  const minute = (before: number) => Date.parse(AS_OF) / 1000 - before * 60
  const session = { seconds: [minute(2), minute(1)], cents: [10_000, 12_000] }
  const drawn = (host: HTMLElement) => host.querySelector('.condor-spark .condor-line')?.getAttribute('d')

  it('is drawn up to the current profit or loss and described', () => {
    const { host, words } = card(condor('SPY', { history: session }))
    expect(drawn(host)).toBe('M1 35L160 22.6L319 1')
    const texts = ['P/L by the minute since 10:29:00 EST: change +55.00', 'low +100.00, high +155.00']
    expect(host.querySelector('.condor-spark')!.getAttribute('aria-label')).toBe(texts.join(', '))
    expect(words('.condor-card > small')).toEqual(texts)
  })

  it('does not fill its box with moves that are small beside the maximum profit', () => {
    const { host } = card(condor('SPY', { history: { ...session, cents: [15_500, 15_400] } }))
    expect(drawn(host)).toBe('M1 16.7L160 19.3L319 16.7')
  })

  it('follows each tick', async () => {
    const { host, show } = card(condor('SPY', { history: session }))
    show(account('e-2', [condor('SPY', { history: session, valuation: valuation('x', { unrealizedPl: 120 }) })]))
    await nextTick()
    expect(drawn(host)).toBe('M1 35L160 1L319 1')
  })

  it.each(['stale', 'halted', 'reconnecting', 'starting', 'closed'] as const)(
    'ends with what is known while the feed is %s',
    (state) => {
      const { host } = card(condor('SPY', { history: session }), { status: status({ state }) })
      expect(drawn(host)).toBe('M1 35L319 1')
    },
  )

  it('ends at the last known point without a connection or a quote', async () => {
    const { host, link } = card(condor('SPY', { history: session }))
    link.value = { ...link.value, state: 'reconnecting' }
    await nextTick()
    expect(drawn(host)).toBe('M1 35L319 1')
    const unpriced = condor('SPY', { history: session, valuation: without([condor().legs[0]!.symbol]) })
    expect(drawn(card(unpriced).host)).toBe('M1 35L319 1')
  })

  it('is not drawn for an older daemon, which does not send it', () => {
    const { history: _, ...older } = condor()
    const { host } = card(older as Condor)
    expect(host.querySelector('.condor-spark')).toBeNull()
    expect(host.querySelector('.condor-payoff')).not.toBeNull()
  })
})

describe('the style', () => {
  const style = source.slice(source.indexOf('<style>'))

  it('inherits its colours in light and dark and overrides none of them', () => {
    const dark = style.indexOf('@media (prefers-color-scheme: dark)')
    for (const name of ['ground', 'ink', 'soft', 'rule', 'gain', 'loss'])
      for (const part of [style.slice(0, dark), style.slice(dark)]) expect(part).toContain(`var(--condor-${name}, #`)
    expect(style).not.toMatch(/--condor-\w+:/)
  })

  it('uses exactly the colours that the README lists', () => {
    const listed = new Set(readFileSync('README.md', 'utf8').match(/--condor-\w+/g))
    expect([...listed].sort()).toEqual([...new Set(style.match(/--condor-\w+/g))].sort())
  })

  it('highlights nothing with prefers-reduced-motion', () => {
    const [calm, ...others] = style.split('@media not (prefers-reduced-motion: reduce) {')
    expect([calm!.includes('data-flash'), others.length]).toEqual([false, 1])
    expect(others[0]!.slice(0, others[0]!.indexOf('\n}')).match(/data-flash/g)).toHaveLength(style.match(/data-flash/g)!.length)
  })

  it('draws the charts in forced system colours', () => {
    const forced = style.slice(style.indexOf('@media (forced-colors: active)'))
    for (const name of ['ink', 'soft', 'rule']) expect(forced).toContain(`--_${name}: CanvasText`)
    const drawn = style.slice(style.indexOf('.condor-gains'), style.indexOf('@media')).match(/(?:fill|stroke): .*/g)
    expect(drawn!.filter((value) => !/var\(--_\w+\)|none/.test(value))).toEqual([])
  })

  it('styles each look differently and dims old numbers', () => {
    for (const look of ['closed', 'halted', 'broken', 'incomplete', 'new']) expect(style).toContain(`[data-look='${look}']`)
    expect(style).toContain('.condor-card[data-old] {')
  })
})

describe('the address of a card', () => {
  it('can change without highlighting the other numbers', async () => {
    const { live, show } = createLive(Date.parse(AS_OF))
    const other = condor('QQQ', { credit: 9.99, valuation: valuation('x', { unrealizedPl: -5 }) })
    show(account('e-1', [condor('SPY'), other]))
    const id = shallowRef(condor('SPY').id)
    const host = document.createElement('div')
    const { h } = await import('vue')
    const app = createApp({ render: () => h(IronCondorCard, { live, id: id.value }) })
    app.mount(host)
    apps.push(app)
    id.value = condor('QQQ').id
    await nextTick()
    expect(host.querySelector('h2')!.textContent).toBe('QQQ')
    expect(host.querySelectorAll('[data-flash]')).toHaveLength(0)
  })
})
