import { createApp, nextTick, type App as Application } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { alert, AS_OF, broken, condor, document as account, loaded, risk, status, totals, unmatched, valuation, without } from '../../tests/account'
import type { Alert, Document } from '../document'
import { createLive } from '../live'
import App from './App.vue'

const NOW = Date.parse(AS_OF)
const apps: Application[] = []
const held = condor()
const firing = (rule: string, changes: Partial<Alert> = {}) =>
  alert(`${rule}:${held.id}`, { condorId: held.id, text: `SPY 705/715: ${rule} holds. P/L 1.00.`, ...changes })

async function page(changes: Partial<Document> | null, token: string | null = null) {
  const { live, link, show } = createLive(NOW)
  const host = document.body.appendChild(document.createElement('div'))
  const app = createApp(App, { live, token })
  app.mount(host)
  apps.push(app)
  link.value = { state: 'open', since: NOW, retryAt: null }
  let version = 0
  const shows = async (next: Partial<Document>) => {
    show(account(`e-${++version}`, [held], next))
    await nextTick()
  }
  if (changes) await shows(changes)
  const text = (selector: string) => host.querySelector(selector)?.textContent!.trim().replace(/\s+/g, ' ')
  const button = (name: string) =>
    [...host.querySelectorAll('button')].find((each) => (each.getAttribute('aria-label') ?? each.textContent!).trim().startsWith(name))!
  const press = async (name: string) => {
    button(name).click()
    await vi.dynamicImportSettled()
    await new Promise((resolve) => setTimeout(resolve))
    await nextTick()
  }
  const links = async (state: 'open' | 'reconnecting') => {
    link.value = { state, since: NOW, retryAt: null }
    await nextTick()
  }
  return { host, shows, text, button, press, links }
}

beforeEach(() => {
  localStorage.clear()
  history.replaceState(null, '', '/')
})
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
  document.body.replaceChildren()
  vi.unstubAllGlobals()
})

describe('what needs the owner', () => {
  it('has one entry with the most severe sentence, the profit or loss and the others folded', async () => {
    const { host, text } = await page({ alerts: [firing('tested'), firing('breached', { severity: 'critical' })] })
    expect(host.querySelectorAll('.need')).toHaveLength(1)
    expect(text('.need p')).toBe('SPY 705/715 — breached holds.')
    expect(text('.need details')).toBe('1 more tested holds.')
    expect(text('.need-pl')).toBe('+$155.00')
    expect(host.querySelector('.need > .condor-severity')!.getAttribute('aria-label')).toBe('Critical')
  })

  it('reports that nothing needs you only if that is known', async () => {
    const { shows, text } = await page(null)
    expect(text('.needs')).toBe('Needs youWhether anything needs you is not known: condord has not answered yet.')
    await shows({})
    expect(text('.needs')).toBe('Needs you Nothing needs you')
    await shows({ status: status({ state: 'stale' }) })
    expect(text('.needs')).toBe('Needs youWhether anything needs you is not known: prices are not current.')
    await shows({ status: status({ state: 'stale' }), alerts: [firing('tested')] })
    expect(text('.needs > .aside')).toBe('Whether anything else needs you is not known: prices are not current.')
  })

  it('has the current price once, beside the sentence in the past tense', async () => {
    const breached = firing('breached', { text: 'SPY 705/715: the short put 715 is breached, SPY 714.20. P/L -100.00.' })
    const { text } = await page({ alerts: [breached] })
    expect(text('.need p')).toBe('SPY 705/715 — the short put 715 has been breached, SPY 714.20 at 10:31:00 ET, now 742.00.')
    expect(text('.condor-alarm li')).toBe('The short put 715 has been breached, SPY 714.20 at 10:31:00 ET, now 742.00.')
  })

  it('has no entry if a strike is breached without an alert, and states the breach', async () => {
    const breached = condor('QQQ', { risk: risk('QQQ-261218-705-715-770-780', { breached: true }) })
    const { shows, text } = await page({ condors: [held, breached] })
    expect(text('.needs')).toBe('Needs you Nothing needs you 1 breached, no alert fires')
    await shows({ condors: [held, breached], alerts: [alert('stop:x', { condorId: breached.id, underlying: 'QQQ' })] })
    expect(text('.needs > .aside')).toBeUndefined()
  })

  it('is unknown while prices are not confirmed, like the header and the card', async () => {
    const unconfirmed = { ...held, valuation: valuation(held.id, { unconfirmed: true }) }
    const error = { code: 'unreachable', text: 'HTTP 500' }
    const { host, shows, text } = await page({ condors: [unconfirmed], status: status({ positions: { readAt: AS_OF, error, breaker: 'closed' } }) })
    const look = () => [host.querySelector<HTMLElement>('article')!.dataset['old'], host.querySelector<HTMLElement>('.standing')!.dataset['old'], document.title.startsWith('(old)')]
    expect(text('[role=status]')).toMatch(/^Account not read\. The prices of the condor are not confirmed\. HTTP 500\./)
    expect(look()).toEqual(['', '', true])
    await shows({ condors: [unconfirmed, condor('QQQ')] })
    expect(text('[role=status]')).toBe('Live. The prices of 1 of 2 condors are not confirmed.')
    expect(text('.needs')).toBe('Needs youWhether anything needs you is not known: the prices of 1 of 2 condors are not confirmed.')
    await shows({ condors: [held] })
    expect(text('[role=status]')).toBe('Live.')
    expect(look()).toEqual([undefined, undefined, false])
  })

  it('counts down to the last order, as the sentence of an alert stays as it was', async () => {
    const orders = { kind: 'orders' as const, at: new Date(NOW + 8 * 60_000).toISOString(), source: 'config' as const }
    const expiry = { lastTradingAt: new Date(NOW + 3_600_000).toISOString(), settlesAt: AS_OF, cutoffs: [orders] }
    const { text } = await page({ condors: [{ ...held, expiry }], alerts: [firing('order-cutoff')] })
    await vi.dynamicImportSettled()
    await nextTick()
    expect(text('.need p')).toBe('SPY 705/715 — 8 min left for orders: order-cutoff holds.')
  })

  it('is acknowledged with the token, and then folded in one line', async () => {
    const fetch = vi.fn(async (_path: string, _init: RequestInit) => new Response(null, { status: 204 }))
    vi.stubGlobal('fetch', fetch)
    const alerts = [firing('tested'), firing('breached')]
    const { host, press, shows, text } = await page({ alerts }, 'a-token')
    await press('Acknowledge all: SPY 705/715')
    expect(fetch.mock.calls.map(([path, { method, headers }]) => [path, method, new Headers(headers).get('Authorization')])).toEqual(
      ['tested', 'breached'].map((rule) => [`./api/alerts/${rule}%3A${held.id}/acknowledge`, 'POST', 'Bearer a-token']),
    )
    await shows({ alerts: alerts.map((each) => ({ ...each, acknowledgedAt: AS_OF })) })
    expect(text('.needs-none')).toBe('Nothing needs you')
    expect(text('.needs-done summary')).toBe('1 acknowledged')
    expect(host.querySelector('.needs-done .need button')).toBeNull()
  })

  it('shows why it could not be acknowledged', async () => {
    vi.stubGlobal('fetch', async () => Response.json({ detail: 'there is no alert with this id' }, { status: 404 }))
    const { button, press, text } = await page({ alerts: [firing('tested')] })
    await press('Acknowledge: SPY')
    expect(text('.need-error')).toBe('It could not be acknowledged. There is no alert with this id.')
    expect(button('Acknowledge: SPY').disabled).toBe(false)
  })

  it('cannot be acknowledged without a connection or while the source is lost, and shows why', async () => {
    const { button, links, press, shows, text } = await page({ alerts: [firing('tested')] })
    const cannot = () => [button('Acknowledge: SPY').disabled, text('.needs > .aside')]
    expect(cannot()).toEqual([false, undefined])
    await links('reconnecting')
    expect(cannot()).toEqual([true, 'No connection to condord: alerts cannot be acknowledged.'])
    await links('open')
    const words = { sourceLost: 'The relay has lost its source', busLost: 'No connection to the bus', leaderLost: 'No ingester leads' }
    for (const [code, why] of Object.entries(words)) {
      await shows({ alerts: [firing('tested')], status: status({ state: 'reconnecting', code: code as keyof typeof words }) })
      expect(cannot()).toEqual([true, `${why}: alerts cannot be acknowledged.`])
      await press('Alerts')
      expect(document.querySelector<HTMLButtonElement>('.alerts button')!.disabled).toBe(true)
      await press('Alerts')
    }
    await shows({ alerts: [firing('tested')] })
    expect(cannot()).toEqual([false, undefined])
  })

  it('no longer shows an error after an obstacle has gone or the alert is acknowledged', async () => {
    vi.stubGlobal('fetch', async () => Response.json({ detail: 'the leader does not answer' }, { status: 503 }))
    const { links, press, shows, text } = await page({ alerts: [firing('tested'), firing('breached')] })
    await press('Acknowledge all: SPY')
    expect(text('.need-error')).toBe('It could not be acknowledged. The leader does not answer.')
    await links('reconnecting')
    expect(text('.need-error')).toBeUndefined()
    await links('open')
    expect(text('.need-error')).toBeUndefined()
    await press('Acknowledge all: SPY')
    expect(text('.need-error')).toContain('does not answer')
    await shows({ alerts: [firing('tested', { acknowledgedAt: AS_OF }), firing('breached', { acknowledgedAt: AS_OF })] })
    expect(text('.need-error')).toBeUndefined()
  })

  it('leads to the card', async () => {
    const { host } = await page({ alerts: [firing('tested')] })
    host.querySelector<HTMLElement>('.need-name')!.click()
    expect((document.activeElement as HTMLElement).dataset['condor']).toBe(held.id)
    expect(location.hash).toBe('')
  })
})

describe('the bell', () => {
  it('counts unacknowledged firing alerts, and lists the alerts of today', async () => {
    const over = firing('stop', { state: 'resolved', until: AS_OF, since: '2026-11-20T15:00:00Z' })
    const { host, press, text } = await page({ alerts: [firing('tested'), firing('breached', { acknowledgedAt: AS_OF }), over] })
    expect(text('.count')).toBe('1 firing')
    await press('Alerts')
    expect([...host.querySelectorAll('.panel h3')].map((each) => each.textContent)).toEqual(['Firing', 'Over today'])
    expect(text('.alerts .over')).toContain('Since 10:00, resolved at 10:31')
    expect(host.querySelectorAll('.alerts button')).toHaveLength(1)
    expect(text('.alerts li:not(.over) .aside')).toContain(', P/L now +$155.00')
    expect(text('.alerts .over')).not.toContain('now')
    host.querySelector('.panel')!.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }))
    await nextTick()
    expect(host.querySelector('.panel')).toBeNull()
    expect(document.activeElement!.textContent).toContain('Alerts')
  })
})

describe('the figures', () => {
  it('cover the condors, and list contracts in no condor separately', async () => {
    const shares = { ...account('x').underlyings[0]!, shares: 100 }
    const { host, text } = await page({ totals: totals({ dayPl: -114, naturalPl: null, incomplete: 1, theta: 31.2, riskIncomplete: 2 }), underlyings: [shares] })
    await loaded()
    const figures = [...host.querySelectorAll('.totals > div')].map((each) => each.textContent!.replace(/\s+/g, ' ').trim())
    expect(figures.slice(0, 5)).toEqual([
      'Condors today−$114.00',
      'Open P/L+$155.00',
      'Closing now—1 of 1 condors lacks a quote or an entry price.',
      'Theta a day, all options+$31.20 (2 unknown)',
      'Maximum loss at expiration$1,358',
    ])
    expect(text('.outside')).toBe('In no condor: 100 SPY shares.')
  })
})

describe('closing now', () => {
  const END = AS_OF
  const over = { expiry: { lastTradingAt: END, settlesAt: END, cutoffs: [] }, daysToExpiration: 0 }
  const expired = condor('QQQ', { ...over, valuation: valuation('x', { naturalPl: null }) })
  const closing = (host: HTMLElement) => host.querySelectorAll('.totals dd')[2]!.textContent!.trim()

  it('is the sum of the condors that can still be closed', async () => {
    const { host } = await page({ condors: [held, expired], totals: totals({ naturalPl: null }) })
    expect(closing(host)).toBe('+$146.00')
  })

  it('is not known after all have expired, or if a part of it is not', async () => {
    const { host } = await page({ condors: [expired], totals: totals({ naturalPl: 5 }) })
    await loaded()
    expect(closing(host)).toBe('—All condors have expired.')
    const partly = await page({ condors: [condor('IWM', { valuation: without([held.legs[0]!.symbol]) }), expired], totals: totals({ incomplete: 1 }) })
    await loaded()
    expect(closing(partly.host)).toBe('—1 of 2 condors lacks a quote or an entry price.')
  })
})

describe('the maximum loss', () => {
  const lossOf = (host: HTMLElement) => host.querySelectorAll('.totals dd')[4]!.textContent!.trim()
  const lost = broken('LOST', { A: 1 })

  it('is unlimited beside a loss without a bound, even if the loss of the condors has one', async () => {
    const contract = unmatched({ uncoveredShort: true })
    const { host, text } = await page({ unmatched: [contract], totals: totals({ maxLoss: null }) })
    expect(lossOf(host)).toBe('unlimited')
    await loaded()
    expect(text('.outside')).toContain('Maximum loss of the condors without it: $1,358.')
    const left = await page({ broken: [lost], totals: totals({ maxLoss: null }) })
    expect(lossOf(left.host)).toBe('unlimited')
  })

  it('may be exceeded while an alert about that fires for one of the condors', async () => {
    const contract = unmatched({ cover: 'shares' })
    const later = condor('QQQ', { expiration: '2027-01-15', daysToExpiration: 56 })
    const { host, shows, text } = await page({ condors: [held, later], unmatched: [contract], alerts: [firing('long-put-expiring')], totals: totals({ maxLoss: 1500 }) })
    await loaded()
    const risks = () => [...host.querySelectorAll('.expiration-detail')].map((each) => each.textContent)
    expect(lossOf(host)).toBe('$2,716 or more')
    expect(text('.outside')).toContain('Maximum loss of all options: $1,500 or more.')
    expect(risks()).toEqual(['SPY · risk $1,358 or more', 'QQQ · risk $1,358'])
    await shows({ condors: [held, later], unmatched: [contract], alerts: [firing('long-put-expiring', { state: 'ended' })], totals: totals({ maxLoss: 1500 }) })
    expect(lossOf(host)).toBe('$2,716')
    expect(text('.outside')).toContain('Maximum loss of all options: $1,500.')
    expect(risks()).toEqual(['SPY · risk $1,358', 'QQQ · risk $1,358'])
    const unknown = await page({ condors: [condor('SPY', { credit: null })], alerts: [firing('ex-dividend')] })
    expect(lossOf(unknown.host)).not.toContain('or more')
  })

  it('includes the legs left of a broken condor', async () => {
    const { host } = await page({ broken: [lost], totals: totals({ maxLoss: 62_858 }) })
    expect(lossOf(host)).toBe('$62,858')
  })

  it('is unknown where a credit is, as a loss without a bound may be as well', async () => {
    const { host } = await page({ condors: [condor('SPY', { credit: null })], totals: totals({ maxLoss: null }) })
    expect(lossOf(host)).toContain('—')
  })
})

describe('the strip of expirations', () => {
  const year = (count: number) =>
    Array.from({ length: count }, (_, at) => condor(`S${at}`, { expiration: new Date(NOW + 86_400_000 * (at + 1)).toISOString().slice(0, 10), daysToExpiration: at + 1 }))

  it('folds all but the nearest of many', async () => {
    const { host, text, press } = await page({ condors: year(60) })
    const shown = () => host.querySelectorAll('.expirations li').length
    expect([shown(), text('.expirations button'), text('.expirations li:last-child')]).toEqual([15, 'Nov 21 · 1 d · risk $1,358', '46 more'])
    await press('46 more')
    expect([shown(), text('.expirations li:last-child')]).toEqual([61, 'Fewer'])
    expect((await page({ condors: year(10) })).text('.expirations button')).toContain('S0')
  })

  it('has the risk of each and filters the condors', async () => {
    const { host, text } = await page({})
    expect(text('.expirations button')).toBe('Dec 18 · 28 d · SPY · risk $1,358')
    host.querySelector<HTMLElement>('.expirations button')!.click()
    await nextTick()
    expect(location.hash).toBe('#find=2026-12-18')
    expect(host.querySelector('.expirations button')!.getAttribute('aria-pressed')).toBe('true')
    host.querySelector<HTMLElement>('.expirations button')!.click()
    await nextTick()
    expect(location.hash).toBe('')
  })

  it('has the risk of the legs left of broken condors', async () => {
    const short = { symbol: 'C770', right: 'call', strike: 770, side: 'short', quantity: 1, held: 1 } as const
    const lost = { ...broken('SPY-1', {}, 1), legs: [short] }
    const { text } = await page({ condors: [], broken: [lost], unmatched: [unmatched({ symbol: 'C770' })] })
    await loaded()
    expect(text('.expirations button')).toBe('Dec 18 · 28 d · SPY · risk unlimited · 1 broken')
  })
})

it('a setting is changed in the panel', async () => {
  const { host, press } = await page({})
  await press('Settings')
  const label = [...host.querySelectorAll('.settings label')].find((each) => each.textContent!.includes('Theme'))!
  const select = label.querySelector('select')!
  expect([...select.options].map((each) => each.textContent)).toEqual(['System', 'Light', 'Dark'])
  select.value = 'dark'
  select.dispatchEvent(new Event('change'))
  await nextTick()
  expect(document.documentElement.dataset['theme']).toBe('dark')
})
