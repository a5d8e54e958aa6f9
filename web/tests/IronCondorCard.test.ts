import { createApp, h, nextTick, shallowReactive, shallowRef, type App, type ShallowRef } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { closingOrder } from '../src/closingOrder'
import type { Alert, Condor, Document, Risk } from '../src/document'
import IronCondorCard from '../src/IronCondorCard.vue'
import { createLive, type Live } from '../src/live'
import { forget } from '../src/unfolded'
import { alert, AS_OF, condor, loaded, document as account, quote, risk, status, UNREAD, valuation, without } from './account'
import { LOOKS } from './looks'

const apps: App[] = []
const SEVERITIES: Record<string, string> = { critical: 'Critical', warning: 'Warning', info: 'Information' }
const NO_DISTANCE = { dollars: null, percent: null, sigmas: null }
const UNKNOWN = risk('x', {
  delta: null,
  theta: null,
  distance: { put: NO_DISTANCE, call: NO_DISTANCE },
  probabilities: { profit: null, maxProfit: null, maxLoss: null, touchPut: null, touchCall: null, profitByCredit: null, profitByDelta: null },
})

function mount(live: Live | Record<keyof Live, never>, id: string, props: Record<string, unknown> = {}) {
  const host = document.body.appendChild(document.createElement('div'))
  const app = createApp(IronCondorCard, { live: live as Live, id, ...props })
  app.mount(host)
  apps.push(app)
  const words = (selector: string) => [...host.querySelectorAll(selector)].map((element) => element.textContent!.trim().replace(/\s+/g, ' '))
  const button = (name: string) => [...host.querySelectorAll('button')].find((each) => each.textContent === name)!
  const press = async (name: string) => {
    button(name).click()
    await loaded()
  }
  return { host, words, button, press, look: () => host.querySelector('article')!.dataset['look'] }
}

function card(shown: Condor = condor(), changes: Partial<Document> = {}, props: Record<string, unknown> = {}) {
  const { live, link, now, show } = createLive(Date.parse(AS_OF))
  link.value = { state: 'open', since: Date.parse(AS_OF), retryAt: null }
  show(account('e-1', [shown], changes))
  return { ...mount(live, shown.id, props), live, link, now, show }
}

beforeEach(() => void vi.spyOn(console, 'warn'))
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
  document.body.replaceChildren()
  forget()
  vi.useRealTimers()
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

describe('a card', () => {
  it('shows the position, its value and its payoff', () => {
    const { words, host } = card()
    expect([words('h2'), words('.condor-title')]).toEqual([['SPY'], ['SPY 705/715/770/780']])
    expect(words('header p')).toEqual(['28 days', 'Short iron condor · ×2 · credit 3.21', 'Fri, Dec 18'])
    expect(words('.condor-pl b')).toEqual(['+$155.00'])
    expect(words('.condor-pl span')).toEqual(['+$18.50 today'])
    expect(words('.condor-bar-labels span')).toEqual(['Max loss $1,358', '24 % of max profit', 'Max profit $642'])
    expect(words('.condor-facts dt')).toEqual(['Put side', 'Call side', 'Profit probability', 'Theta a day', 'Delta', 'Close at mid'])
    expect(words('.condor-facts dd')).toEqual([
      '$273.6 % · 0.9 σ',
      '$273.6 % · 0.9 σ',
      '65 %at expiration',
      '+$11.80',
      '−3.20$ per $1 of SPY',
      '2.435natural 2.48',
    ])
    expect(host.querySelector('.condor-payoff')!.getAttribute('aria-label')).toBe(
      'Payoff at expiration from −$1,358.00 to +$642.00; short strikes 715 and 770; breakevens 711.79 and 773.21; SPY at 742.00; P/L today +$155.00',
    )
    expect(words('.condor-actions p')).toEqual(['No closing order'])
  })

  it('carries its id, the state of the feed and its label', () => {
    const article = card(condor(), { status: status({ state: 'closed' }) }).host.querySelector('article')!
    expect({ ...article.dataset }).toEqual({ condor: condor().id, look: 'closed', state: 'closed', density: 'comfortable' })
    expect(article.getAttribute('aria-label')).toBe('SPY 705/715/770/780, short iron condor')
  })

  it('has its legs folded until they are asked for, and remembers that', async () => {
    const { host, press, live } = card()
    expect(host.querySelector('table')).toBeNull()
    await press('Legs')
    expect(host.querySelectorAll('tbody tr')).toHaveLength(4)
    const again = mount(live, condor().id)
    expect(again.button('Legs').getAttribute('aria-expanded')).toBe('true')
    await again.press('Legs')
    expect(host.querySelector('table')).toBeNull()
  })

  it('has a row per leg with its quote and remarks', async () => {
    const [first, second, third] = condor().legs
    const quotes = [
      quote(first!.symbol, { bid: 0, state: 'zeroBid' }),
      quote(second!.symbol, { unconfirmed: true }),
      quote(third!.symbol, { ask: 0, mark: null, state: 'noAsk' }),
    ]
    const { words, press } = card(condor('SPY', { realizedPl: -12 }), { quotes })
    await press('Legs')
    expect(words('tbody th')).toEqual(['+2 705 putno bid', '−2 715 putunconfirmed', '−2 770 callno ask', '+2 780 callno quote'])
    expect(words('tbody tr:first-child td')).toEqual(['0.00', '2.66', '2.645', '+$38.75'])
    expect(words('tbody tr:nth-child(3) td')).toEqual(['2.63', '—', '—', '+$38.75'])
    expect(words('tbody tr:last-child td')).toEqual(['—', '—', '—', '+$38.75'])
    expect(words('.condor-legs dt')).toEqual(['Credit', 'Max profit', 'Max loss', 'P/L if closed now', 'Worst so far', 'Best so far', 'Realized by rolls'])
    expect(words('.condor-legs dd')).toEqual(['3.21', '$642', '$1,358', '+$146.00', '−$120.00', '+$260.00', '−$12.00'])
    expect(words('.condor-source')).toEqual(['Quotes 2 s old · indicative · simulator'])
  })

  it('shows that the loss may exceed the maximum loss while an alert about that fires', async () => {
    const maxLoss = async (rule: string, changes: Partial<Alert> = {}) => {
      forget()
      const { words, press } = card(condor(), { alerts: [alert(`${rule}:x`, { rule, condorId: condor().id, ...changes })] })
      await press('Legs')
      await loaded()
      return words('.condor-legs dd')[2]
    }
    expect(await maxLoss('long-put-expiring')).toBe('$1,358 or more')
    expect(await maxLoss('ex-dividend')).toBe('$1,358 or more')
    expect(await maxLoss('breached')).toBe('$1,358')
    expect(await maxLoss('long-put-expiring', { condorId: 'other' })).toBe('$1,358')
    expect(await maxLoss('long-put-expiring', { state: 'resolved' })).toBe('$1,358')
  })

  it('names a debit as such, and adjusted roots and series', () => {
    const subtitle = (shown: Condor) => card(shown).words('header p')[1]
    expect(subtitle(condor('AAPL', { direction: 'long', credit: -6.55 }))).toBe('Long iron condor · ×2 · debit 6.55')
    const adjusted = card(condor('XYZ', { root: 'XYZ1' }))
    expect([adjusted.words('.condor-title')[0], adjusted.words('header p')[1]]).toEqual([
      'XYZ1 705/715/770/780',
      'Short iron condor · ×2 · credit 3.21 · adjusted XYZ',
    ])
    expect(subtitle(condor('SPX', { root: 'SPXW', brokenWing: true, kind: 'ironButterfly' }))).toBe('Short iron butterfly, broken wing · ×2 · credit 3.21 · SPX')
    expect(subtitle(condor('SPX', { settlement: 'am', credit: null }))).toBe('Short iron condor · ×2 · credit — · AM settled')
  })

  it('calls a loss without a bound unlimited, and an unknown one unknown', () => {
    const labels = (shown: Condor) => card(shown).words('.condor-bar-labels span')[0]
    expect(labels(condor('SPY', { maxLoss: null }))).toBe('Max loss unlimited')
    expect(labels(condor('SPY', { maxLoss: null, credit: null }))).toBe('Max loss —')
  })

  it.each([
    [{ limitPrice: 1.6, percentOfMaxProfit: 50.16 }, 'short', 'Buy at 1.60 working · 50 %'],
    [{ limitPrice: 1.6, percentOfMaxProfit: 50.16, quantity: 1 }, 'short', 'Buy 1 at 1.60 working · 50 %'],
    [{ limitPrice: -6.1, percentOfMaxProfit: 20 }, 'long', 'Sell at 6.10 working · 20 %'],
    [{ limitPrice: null, percentOfMaxProfit: null }, 'long', 'Sell at market working'],
    [{ limitPrice: 0.8, percentOfMaxProfit: null }, 'short', 'Buy one side at 0.80 working'],
  ] as const)('names a working closing order (%o, %s)', (order, direction, text) => {
    const closing = [{ orderId: '1', quantity: 2, submittedAt: AS_OF, ...order }]
    expect(card(condor('SPY', { direction, closing })).words('.condor-actions p')).toEqual([text])
    const both = condor('SPY', { direction, closing: [...closing, ...closing] })
    expect(card(both).words('.condor-actions p')).toEqual(['2 closing orders working'])
  })

  it('names the best probability that is known', () => {
    const fact = (changes: Partial<Risk['probabilities']>) => {
      const probabilities = { ...risk('x').probabilities, ...changes }
      return card(condor('SPY', { risk: risk('x', { probabilities }) })).words('.condor-facts dd')[2]
    }
    expect(fact({ profit: null })).toBe('62 %from deltas')
    expect(fact({ profit: null, profitByDelta: null })).toBe('77 %from credit')
    expect(fact({ profit: null, profitByDelta: null, profitByCredit: null })).toBe('—')
  })

  it('counts down to the cut-offs on the last trading day', async () => {
    const expiry = {
      lastTradingAt: '2026-11-20T21:15:00Z',
      settlesAt: '2026-11-20T21:15:00Z',
      cutoffs: [
        { kind: 'orders', at: '2026-11-20T20:30:00Z', source: 'config' },
        { kind: 'liquidation', at: '2026-11-20T20:15:00Z', source: 'product' },
      ] as const,
    }
    const { words, live } = card(condor('SPY', { daysToExpiration: 0, expiry: { ...expiry, cutoffs: [...expiry.cutoffs] } }))
    expect(words('.condor-days')).toEqual(['Expires today'])
    await loaded()
    expect(words('.condor-cutoffs dt')).toEqual(['Liquidation from 15:15 ET end of trading', 'Orders until 15:30 ET condord\'s setting'])
    expect(words('.condor-cutoffs dd')).toEqual(['in 4 h 44 min', 'in 4 h 59 min'])
    ;(live.now as ShallowRef<number>).value = Date.parse('2026-11-20T20:20:00Z')
    await nextTick()
    expect(words('.condor-cutoffs dt')[0]).toBe('Liquidation possible since 15:15 ET end of trading')
    expect(words('.condor-cutoffs dd')).toEqual(['at any moment', 'in 10 min'])
    ;(live.now as ShallowRef<number>).value = Date.parse('2026-11-20T20:28:25Z')
    await nextTick()
    expect(words('.condor-cutoffs dd')[1]).toBe('in 1 min')
    ;(live.now as ShallowRef<number>).value = Date.parse('2026-11-20T20:29:59Z')
    await nextTick()
    expect(words('.condor-cutoffs dd')[1]).toBe('in under a minute')
    ;(live.now as ShallowRef<number>).value = Date.parse('2026-11-20T20:30:00Z')
    await nextTick()
    expect(words('.condor-cutoffs dd')[1]).toBe('passed')
    expect(card().words('.condor-cutoffs dd')).toEqual([])
  })

  it('shows an em dash for unknown values and names the missing leg', () => {
    const { words, look } = card(condor('SPY', { valuation: without([condor().legs[0]!.symbol]), risk: UNKNOWN }))
    expect(look()).toBe('incomplete')
    expect(words('.condor-pl b')).toEqual(['—'])
    expect(words('.condor-facts dd')).toEqual(['—', '—', '—', '—', '—', '—natural —'])
    expect(words('.condor-notes li')).toEqual(['Leg missing: no quote for 705 put'])
  })

  it('shows a loss with its sign', () => {
    const { words, host } = card(condor('SPY', { valuation: valuation(condor().id, { unrealizedPl: -65 }) }))
    expect(words('.condor-pl b')).toEqual(['−$65.00'])
    expect(host.querySelector('.condor-pl b')!.getAttribute('data-sign')).toBe('-1')
  })

  it('draws no payoff without a credit and no session without points', () => {
    const { host } = card(condor('SPY', { credit: null }))
    expect(host.querySelectorAll('.condor-payoff, .condor-spark')).toHaveLength(0)
  })

  it.each(LOOKS)('looks $look with the notes: $notes', async ({ look, isOld, notes, alarm, condor: shown, changes, link: state }) => {
    const { host, link, words, look: seen } = card(shown, changes)
    link.value = { ...link.value, state }
    await nextTick()
    expect([seen(), words('.condor-notes li')]).toEqual([look, notes])
    const [severity, ...sentences] = alarm
    expect(host.querySelector('article')!.dataset['severity']).toBe(severity)
    expect(words('.condor-alarm li')).toEqual(sentences)
    expect(host.querySelector('.condor-severity')?.getAttribute('aria-label')).toBe(severity && SEVERITIES[severity])
    // Old numbers are dimmed but stay, whatever the look is.
    expect(host.querySelector('article')!.hasAttribute('data-old')).toBe(isOld)
    expect(words('.condor-pl b')).toEqual([notes.some((note) => note.startsWith('Leg missing')) ? '—' : '+$155.00'])
  })

  it('shows in exchange time from when a quote is unconfirmed', () => {
    const [first] = condor().legs
    const quotes = [quote(first!.symbol, { unconfirmed: true, time: '2026-11-20T19:31:02Z' })]
    const { words } = card(condor('SPY', { valuation: valuation('x', { unconfirmed: true }) }), { quotes })
    expect(words('.condor-notes li')).toEqual(['Unconfirmed since 14:31:02 ET'])
  })

  it('shows each notice on its legs, even if two have the same text', async () => {
    const symbols = [condor().legs[0]!.symbol]
    const notice = { code: 'brokenCondor' as const, text: 'legs went', symbols, condorId: null, since: AS_OF }
    const { words, show } = card(condor('SPY', { ambiguous: true }))
    show(account('e-2', undefined, { status: status({ notices: [notice, { ...notice }] }) }))
    await nextTick()
    expect(words('.condor-alarm li')).toEqual(['Broken: legs went.', 'Broken: legs went.'])
    expect(console.warn).not.toHaveBeenCalled()
  })

  it('looks stale without a connection and recovers', async () => {
    const { link, look } = card()
    expect(look()).toBe('live')
    link.value = { state: 'reconnecting', since: Date.parse(AS_OF), retryAt: null }
    await nextTick()
    expect(look()).toBe('stale')
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
    expect(words('li').at(-1)).toBe('New since 10:31:00 ET')
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
    expect(words('article')).toEqual(['No condor SPY is held. No connection to condord since 10:31:00 ET.'])
  })

  it('accepts a store, which unwraps the refs', () => {
    const { live, show } = createLive(Date.parse(AS_OF))
    show(account('e-1'))
    const store = shallowReactive(Object.fromEntries(Object.entries(live).map(([key, ref]) => [key, ref.value])))
    expect(mount(store as never, condor().id).words('h2')).toEqual(['SPY'])
  })

  it('accepts a heading level, a locale, a time zone and a density', async () => {
    const { words, host, link } = card(condor(), {}, { headingLevel: 4, locale: 'de-DE', timeZone: 'Europe/Berlin', density: 'compact' })
    expect(words('h4')).toEqual(['SPY'])
    expect(words('.condor-pl b')).toEqual(['+155,00 $'])
    expect(words('header p').at(-1)).toBe('Fr., 18. Dez.')
    expect(host.querySelector('article')!.dataset['density']).toBe('compact')
    link.value = { ...link.value, state: 'reconnecting' }
    await nextTick()
    expect(words('.condor-notes li')).toEqual(['No connection to condord since 16:31:00 MEZ'])
  })

  it('has slots for elements of its host', () => {
    const slots = Object.fromEntries(['header', 'actions', 'footer'].map((name) => [name, (slot: { condor: Condor }) => `${name} of ${slot.condor.root}`]))
    const { live, show } = createLive(Date.parse(AS_OF))
    show(account('e-1'))
    const host = document.createElement('div')
    const app = createApp({ render: () => h(IronCondorCard, { live, id: condor().id }, slots) })
    app.mount(host)
    apps.push(app)
    expect([...host.querySelectorAll('.condor-slot')].map((each) => each.textContent)).toEqual(['header of SPY', 'actions of SPY', 'footer of SPY'])
    expect(card().host.querySelectorAll('.condor-slot')).toHaveLength(0)
  })

  it('names its parts', () => {
    const { host } = card(condor('SPY', { risk: risk('x', { tested: 'put' }) }))
    const parts = [...host.querySelectorAll('[part]')].map((each) => each.getAttribute('part'))
    expect(parts).toEqual(['card', 'title', 'pl', 'bar', 'alarm', 'payoff', 'facts', 'actions'])
  })

  it('folds all but the two worst sentences of many', async () => {
    const firing = (count: number) => Array.from({ length: count }, (_, at) => alert(`r${at}:x`, { condorId: condor().id, text: `SPY 1: number ${at}.` }))
    const { words } = card(condor(), { alerts: firing(5) })
    expect([words('.condor-alarm > ul li'), words('.condor-alarm summary'), words('.condor-alarm details li')]).toEqual([
      ['Number 0.', 'Number 1.'],
      ['3 more'],
      ['Number 2.', 'Number 3.', 'Number 4.'],
    ])
    expect(card(condor(), { alerts: firing(3) }).words('.condor-alarm summary')).toEqual([])
  })

  it('omits the cut-offs of today from the text of an alert, as it counts down to them', () => {
    const sentence = (text: string) => card(condor(), { alerts: [alert('order-cutoff:x', { condorId: condor().id, text: `SPY 1: ${text}` })] }).words('.condor-alarm li')
    const cutoff = 'Alpaca takes orders for it until 15:30 ET'
    expect(sentence(`${cutoff} (as configured) and may liquidate it from 15:15, and the put is away.`)).toEqual(['The put is away.'])
    expect(sentence('the put is breached; Alpaca has taken no orders for it since 15:15 ET.')).toEqual(['The put has been breached since 10:31:00 ET.'])
    expect(sentence(`the put is breached; ${cutoff}.`)).toEqual(['The put has been breached since 10:31:00 ET.'])
    expect(sentence(`${cutoff} on Dec 4 (as configured), and the put is away.`)).toEqual([`${cutoff} on Dec 4 (as configured), and the put is away.`])
  })

  it('offers to acknowledge only if its host listens for that', async () => {
    const alerts = [
      alert('stop-loss:x', { condorId: condor().id, severity: 'critical', text: 'SPY 1: it lost. P/L −3.00.' }),
      alert('tested:x', { condorId: condor().id, acknowledgedAt: AS_OF }),
      alert('breached:y', { condorId: 'another' }),
      alert('days-left:x', { condorId: condor().id, state: 'resolved' }),
    ]
    const taken: string[] = []
    const { words, press } = card(condor(), { alerts }, { onAcknowledge: (id: string) => taken.push(id) })
    expect(words('.condor-alarm li')).toEqual(['It lost.', 'Tested:x fires'])
    await press('Acknowledge')
    expect(taken).toEqual(['stop-loss:x'])
    expect(card(condor(), { alerts }).words('.condor-alarm button')).toEqual([])
  })

  it('cannot be acknowledged without a connection or while the source is lost', async () => {
    const alerts = [alert('stop-loss:x', { condorId: condor().id })]
    const { host, link } = card(condor(), { alerts }, { onAcknowledge: () => {} })
    const button = () => host.querySelector<HTMLButtonElement>('.condor-alarm button')!
    expect(button().disabled).toBe(false)
    link.value = { ...link.value, state: 'reconnecting' }
    await nextTick()
    expect(button().disabled).toBe(true)
    const lost = card(condor(), { alerts, status: status({ state: 'reconnecting', code: 'busLost' }) }, { onAcknowledge: () => {} })
    expect(lost.host.querySelector<HTMLButtonElement>('.condor-alarm button')!.disabled).toBe(true)
  })

  it('copies the closing order at either price', async () => {
    const written: string[] = []
    vi.stubGlobal('navigator', { clipboard: { writeText: async (text: string) => void written.push(text) } })
    const copied: unknown[] = []
    const { press, words } = card(condor(), {}, { onCopy: (order: unknown) => copied.push(order) })
    await press('Copy closing order')
    expect(words('.condor-choice button')).toEqual(['Mid 2.435', 'Natural 2.48'])
    await press('Natural 2.48')
    await press('Copy JSON for Alpaca')
    await vi.waitFor(() => expect(words('.condor-order [role=status]')).toEqual(['Copied as JSON']))
    const content = closingOrder(condor(), { price: 'natural' })!.json
    expect([written, copied]).toEqual([[content], [{ id: condor().id, price: 'natural', format: 'json', content }]])
    await press('Mid 2.435')
    await press('Copy text')
    await vi.waitFor(() => expect(written.at(-1)).toBe(closingOrder(condor(), { price: 'mid' })!.text))
  })

  it('states that no order is taken any longer', async () => {
    const at = new Date(Date.parse(AS_OF) + 30_000).toISOString()
    const orders = { kind: 'orders' as const, at, source: 'config' as const }
    const end = new Date(Date.parse(AS_OF) + 60_000).toISOString()
    const { press, words, live } = card(condor('SPY', { daysToExpiration: 0, expiry: { lastTradingAt: end, settlesAt: end, cutoffs: [orders] } }))
    await press('Copy closing order')
    expect(words('.condor-order li')).toEqual([])
    ;(live.now as ShallowRef<number>).value = Date.parse(at)
    await nextTick()
    expect(words('.condor-order li')).toEqual(['Alpaca has taken no orders for it since 10:31 ET.'])
  })

  it('has expired after the last trade, without cut-offs and without an order that closes it', async () => {
    const end = new Date(Date.parse(AS_OF) + 60_000).toISOString()
    const passed = ['orders', 'liquidation'].map((kind) => ({ kind: kind as 'orders', at: AS_OF, source: 'config' as const }))
    const held = condor('SPY', { daysToExpiration: 0, expiry: { lastTradingAt: end, settlesAt: end, cutoffs: passed } })
    const { press, words, live, show, host } = card(held)
    await press('Copy closing order')
    expect(words('.condor-days')).toEqual(['Expires today'])
    expect(words('.condor-cutoffs')[0]).toContain('at any moment')
    const notice = { code: 'expired' as const, text: `${held.id}: expired, awaits settlement`, symbols: [], condorId: held.id, since: end }
    show(account('e-2', [held], { status: status({ notices: [notice] }) }))
    for (const days of [0, 1]) {
      ;(live.now as ShallowRef<number>).value = Date.parse(end) + days * 86_400_000
      await nextTick()
      expect([words('.condor-days'), words('.condor-notes li'), words('.condor-cutoffs')]).toEqual([['Expired'], ['Expired, awaits settlement'], []])
      expect(words('.condor-buttons button')).toEqual(['Legs'])
      expect(host.querySelector('.condor-order')).toBeNull()
    }
  })

  it.each(['long-put-expiring', 'ex-dividend'])('marks the maximum loss while %s fires, and then claims no bound of its cost', async (rule) => {
    const held = condor('SPY', { putWidth: 1, callWidth: 1, exits: { target: 321, stop: null } })
    const shown = (state: 'firing' | 'ended') => ({ alerts: [alert(`${rule}:SPY`, { rule, condorId: held.id, state })] })
    const { press, words, show, host } = card(held, shown('firing'))
    const chart = () => host.querySelector('.condor-payoff')!.getAttribute('aria-label')
    await press('Copy closing order')
    expect(words('.condor-order li')).toEqual([])
    expect(words('.condor-bar-labels')[0]).toContain('Max loss $1,358 or more')
    expect(chart()).toContain('from −$1,358.00 or more to')
    await press('Legs')
    expect(words('.condor-legs dl div')).toContain('Max loss$1,358 or more')
    show(account('e-2', [held], shown('ended')))
    await nextTick()
    expect(chart()).toContain('from −$1,358.00 to')
    expect(words('.condor-legs dl div')).toContain('Max loss$1,358')
  })

  it('offers no natural price made from a bad quote, and names the leg', async () => {
    const [put] = condor().legs as [Condor['legs'][number]]
    const stub = { state: 'stub', bid: 0.05, ask: 60, unconfirmed: true } as const
    const shown = account('e-1', [condor('SPY', { valuation: valuation('x', { natural: 41.86, unconfirmed: true }) })])
    const quotes = shown.quotes.map((each) => (each.symbol === put.symbol ? { ...each, ...stub } : each))
    const { press, words, host } = card(shown.condors[0], { quotes })
    await press('Copy closing order')
    expect(words('.condor-choice button')).toEqual(['Mid 2.435', 'Natural —'])
    expect(host.querySelectorAll<HTMLButtonElement>('.condor-choice button')[1]!.disabled).toBe(true)
    expect(words('.condor-order pre')[0]).toContain('a debit of 2.44')
    expect(words('.condor-order li')).toEqual([
      'No natural price: 705 put: bid 0.05, ask 60.00.',
      'The mid is made from the last good one.',
      'These prices may be old: Unconfirmed since 10:30:58 ET.',
    ])
  })

  it('warns of a limit above the width, and of an order that closes it already', async () => {
    const closing = [{ orderId: '1', limitPrice: 1.04, quantity: 2, percentOfMaxProfit: 60, submittedAt: AS_OF }]
    const { press, words } = card(condor('SPY', { putWidth: 1, callWidth: 1, closing }))
    await press('Copy closing order')
    expect(words('.condor-order li strong')).toEqual([
      'Buy at 1.04 already closes it: replace or cancel that order.',
      'The limit is above the width of 1.00, the most it costs at expiration with all legs held.',
    ])
  })

  it('reports when it may not copy, and when there is no price', async () => {
    vi.stubGlobal('navigator', {})
    const { press, words, show } = card()
    await press('Copy closing order')
    await press('Copy text')
    await vi.waitFor(() => expect(words('.condor-order [role=status]')[0]).toContain('does not allow copying'))
    show(account('e-2', [condor('SPY', { valuation: without([condor().legs[0]!.symbol]) })]))
    await nextTick()
    expect(words('.condor-order li')).toEqual(['No mid price: a leg has no quote.'])
  })
})

it('computes its payoff again when its terms change, but not when its value does', async () => {
  let reads = 0
  const held = condor()
  const breakevens = new Proxy(held.breakevens, { get: (both, name, self) => ((reads += 1), Reflect.get(both, name, self)) })
  const { show, words } = card({ ...held, breakevens })
  const before = reads
  show(account('e-2', [{ ...held, breakevens, valuation: valuation('x', { unrealizedPl: 99 }) }]))
  await nextTick()
  expect([words('.condor-pl b'), before > 0, reads]).toEqual([['+$99.00'], true, before])
  show(account('e-3', [{ ...held, breakevens, credit: 3 }]))
  await nextTick()
  expect(reads).toBeGreaterThan(before)
})

describe('the session', () => {
  const minute = (before: number) => Date.parse(AS_OF) / 1000 - before * 60
  const session = { seconds: [minute(2), minute(1)], cents: [10_000, 12_000] }
  const drawn = (host: HTMLElement) => host.querySelector('.condor-spark .condor-spark-line')?.getAttribute('d')

  it('is drawn up to the current profit or loss and described', () => {
    const { host } = card(condor('SPY', { history: session }))
    expect(drawn(host)).toBe('M1 27L44 17.5L87 1')
    const texts = ['P/L by the minute since 10:29:00 ET: change +55.00', 'low +100.00, high +155.00']
    expect(host.querySelector('.condor-spark')!.getAttribute('aria-label')).toBe(texts.join(', '))
  })

  it('does not fill its box with moves that are small beside the maximum profit', () => {
    const { host } = card(condor('SPY', { history: { ...session, cents: [15_500, 15_400] } }))
    expect(drawn(host)).toBe('M1 13L44 15L87 13')
  })

  it('follows the profit or loss by the second, as its points are minutes apart', async () => {
    const held = condor('SPY', { history: session })
    const current = { status: status() }
    const { host, show, now } = card(held, current)
    show(account('e-2', [{ ...held, valuation: valuation('x', { unrealizedPl: 120 }) }], current))
    await nextTick()
    expect(host.querySelector('.condor-pl b')!.textContent).toBe('+$120.00')
    expect(drawn(host)).toBe('M1 27L44 17.5L87 1')
    now.value += 1000
    await nextTick()
    expect(drawn(host)).toMatch(/^M1 27L43\.\d 1L87 1$/)
  })

  it.each(['stale', 'halted', 'reconnecting', 'starting', 'closed'] as const)(
    'ends with what is known while the feed is %s',
    (state) => {
      const { host } = card(condor('SPY', { history: session }), { status: status({ state }) })
      expect(drawn(host)).toBe('M1 27L87 1')
    },
  )

  it('ends at the last known point without a connection or a quote', async () => {
    const { host, link } = card(condor('SPY', { history: session }))
    link.value = { ...link.value, state: 'reconnecting' }
    await nextTick()
    expect(drawn(host)).toBe('M1 27L87 1')
    const unpriced = condor('SPY', { history: session, valuation: without([condor().legs[0]!.symbol]) })
    expect(drawn(card(unpriced).host)).toBe('M1 27L87 1')
  })

  it('is not drawn for an older daemon, which does not send it', () => {
    const { history: _, ...older } = condor()
    const { host } = card(older as Condor)
    expect(host.querySelector('.condor-spark')).toBeNull()
    expect(host.querySelector('.condor-payoff')).not.toBeNull()
  })
})

describe('the address of a card', () => {
  it('can change without highlighting the other numbers', async () => {
    const { live, show } = createLive(Date.parse(AS_OF))
    const other = condor('QQQ', { credit: 9.99, valuation: valuation('x', { unrealizedPl: -5 }) })
    show(account('e-1', [condor('SPY'), other]))
    const id = shallowRef(condor('SPY').id)
    const host = document.createElement('div')
    const app = createApp({ render: () => h(IronCondorCard, { live, id: id.value }) })
    app.mount(host)
    apps.push(app)
    id.value = condor('QQQ').id
    await nextTick()
    expect(host.querySelector('h2')!.textContent).toContain('QQQ')
    expect(host.querySelectorAll('[data-flash]')).toHaveLength(0)
  })
})
