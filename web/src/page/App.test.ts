import { createApp, nextTick, type App as Application } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { AS_OF, condor, document as account, loaded, status, totals, unmatched, UNREAD, valuation } from '../../tests/account'
import type { Condor, Document, Status, Unmatched } from '../document'
import { createLive, type Link } from '../live'
import App from './App.vue'
import { PAUSE_MS as ANNOUNCE_MS } from './useAnnouncer'
import { SHOWN_MS } from './useGap'
import { KEY } from './useSettings'

const NOW = Date.parse(AS_OF)
const apps: Application[] = []

/** Mounts a page with an account. */
async function page(condors: Condor[], changes: Partial<Document> = {}, props: Record<string, unknown> = {}) {
  const { live, link, now, show } = createLive(NOW)
  const host = document.body.appendChild(document.createElement('div'))
  const app = createApp(App, { live, ...props })
  const shown = (next: Condor[]) => show(account(`e-${++version}`, next, changes))
  let version = 0
  app.mount(host)
  apps.push(app)
  link.value = { state: 'open', since: NOW, retryAt: null }
  shown(condors)
  await loaded()
  const texts = (selector: string) =>
    [...host.querySelectorAll(selector)].map((each) => each.textContent!.trim().replace(/\s+/g, ' '))
  const cards = () => [...host.querySelectorAll<HTMLElement>('[data-condor]')]
  return {
    host,
    cards,
    names: () => cards().map((card) => card.dataset['condor']!.split('-')[0]),
    text: (selector: string) => texts(selector)[0],
    texts,
    async choose(name: string, value = '') {
      const label = [...host.querySelectorAll('label')].find((each) => each.textContent!.trim().startsWith(name))!
      const control = label.querySelector<HTMLInputElement>('input, select')!
      if (control.type === 'checkbox') return control.click(), nextTick()
      control.value = value
      control.dispatchEvent(new Event(control.tagName === 'SELECT' ? 'change' : 'input'))
      await nextTick()
    },
    async ticks(next: Condor[]) {
      shown(next)
      await nextTick()
    },
    async shows(next: Condor[], others: Partial<Document> = {}) {
      show(account(`e-${++version}`, next, others))
      await nextTick()
    },
    async passes(ms: number) {
      now.value += ms
      await nextTick()
    },
    async links(next: Link) {
      link.value = next
      await loaded()
    },
  }
}

function worth(root: string, unrealizedPl: number | null): Condor {
  const one = condor(root)
  return { ...one, valuation: valuation(one.id, { unrealizedPl }) }
}

const loose = unmatched()

const covered: Unmatched = { ...loose, symbol: 'AMD270115P00390000', strike: 390, uncoveredShort: false, cover: 'laterLong' }

/** As another tab changes them. */
const settings = {
  async set(changes: object) {
    localStorage.setItem(KEY, JSON.stringify(changes))
    dispatchEvent(new StorageEvent('storage', { key: KEY }))
    await loaded()
  },
}

beforeEach(() => {
  history.replaceState(null, '', '/')
  localStorage.clear()
})
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
  document.body.replaceChildren()
  vi.restoreAllMocks()
})

describe('the page', () => {
  it('shows what covers a short leg', async () => {
    const { texts } = await page([], { unmatched: [covered, { ...covered, symbol: 'X', cover: 'shares', problem: 'odd' }] })
    expect(texts('.rows tbody .words')).toEqual(['covered by a later long', 'covered by shares; odd'])
  })

  it('shows a card for each condor, the unmatched legs and the totals', async () => {
    const { names, text, texts } = await page([worth('A', 1), worth('B', 2)], {
      unmatched: [loose],
      totals: totals({ unrealizedPl: null, naturalPl: -40, incomplete: 1, condors: 2 }),
    })
    expect(names()).toEqual(['A', 'B'])
    expect(text('.rows tbody tr')).toBe('AMD 395 put, Jan 15, 20271 short16.35——uncovered short')
    expect(texts('.totals dt')).toContain('Closing now')
    expect(texts('.totals dd')).toContain('−$40.00')
  })

  it('shows the total in the tab\'s title and whether it is old', async () => {
    const { links } = await page([worth('A', 1)])
    expect(document.title).toBe('▲ +155.00 · condord')
    await links({ state: 'reconnecting', since: NOW, retryAt: null })
    expect(document.title).toBe('(old) ▲ +155.00 · condord')
  })

  it('is marked while prices are old, but not if only the account cannot be read', async () => {
    const { host, shows, links } = await page([worth('A', 1)])
    const standing = host.querySelector<HTMLElement>('.standing')!
    expect(standing.dataset['old']).toBeUndefined()
    await shows([], { status: status({ positions: { ...UNREAD, error: { code: 'x', text: 'no answer' } } }) })
    expect([standing.dataset['tone'], standing.dataset['old']]).toEqual(['bad', undefined])
    await shows([], { status: status({ state: 'stale' }) })
    expect(standing.dataset['old']).toBe('')
    await shows([])
    expect(standing.dataset['old']).toBeUndefined()
    await links({ state: 'reconnecting', since: NOW, retryAt: null })
    expect(standing.dataset['old']).toBe('')
  })

  it('names the subject of a notice', async () => {
    const notice = { code: 'brokenCondor' as const, text: 'a leg went', symbols: [loose.symbol], condorId: null, since: AS_OF }
    const { text } = await page([], { unmatched: [loose], status: status({ notices: [notice] }) })
    expect(text('.notices li')).toBe('AMD Jan 15, 2027: A leg went. Since 10:31:00 ET.')
  })

  it('has one live region, for the state', async () => {
    const { host, text } = await page([worth('A', 1)])
    expect(host.querySelectorAll('[role=status], [aria-live], output')).toHaveLength(1)
    expect(text('[role=status]')).toBe('Live.')
  })

  it('shows the daemon\'s notices', async () => {
    const notices = [{ code: 'ordersUnavailable' as const, text: 'no orders', symbols: [], condorId: null, since: AS_OF }]
    const { text } = await page([worth('A', 1)], { status: status({ notices }) })
    expect(text('.notices li')).toBe('No orders. Since 10:31:00 ET.')
  })

  it('shows the same notice of two condors twice', async () => {
    const warn = vi.spyOn(console, 'warn')
    const notice = { code: 'brokenCondor' as const, text: 'a leg went', symbols: ['X'], condorId: null, since: AS_OF }
    const { shows, texts } = await page([], { status: status({ notices: [{ ...notice, code: 'assignment' }] }) })
    await shows([], { status: status({ notices: [notice, { ...notice, symbols: ['Y'] }] }) })
    expect(texts('.notices li')).toHaveLength(2)
    expect(warn).not.toHaveBeenCalled()
  })

  it('reports an account without condors', async () => {
    const { text, host } = await page([])
    expect(text('.empty')).toBe('The account holds no iron condor.')
    expect(host.querySelector('form')).toBeNull()
  })

  it('does not report that before the account has been read', async () => {
    const { text } = await page([], { status: status({ state: 'starting', positions: UNREAD }) })
    expect(text('.empty')).toBe('The account has not been read yet.')
  })
})

describe('changes', () => {
  const SAID = 'Total P/L +155.00. A Dec 18, 2026, 715 and 770, '
  const seconds = async (passes: (ms: number) => Promise<void>, count: number) => {
    for (let second = 0; second < count; second++) await passes(1000)
  }

  it('are announced only if the user has turned that on', async () => {
    const { passes, text, ticks } = await page([worth('A', 0)])
    await ticks([worth('A', 100)])
    await passes(ANNOUNCE_MS)
    expect(text('[aria-live]')).toBeUndefined()
  })

  it('are announced at most once in ten seconds', async () => {
    const { passes, text, ticks } = await page([worth('A', 0)])
    await ticks([worth('A', 100)])
    await settings.set({ announce: true })
    await seconds(passes, 30)
    expect(text('[aria-live]')).toBe('')
    await ticks([worth('A', 200)])
    await passes(1000)
    expect(text('[aria-live]')).toBe(`${SAID}+200.00, up 100.00.`)
    await ticks([worth('A', 300)])
    await seconds(passes, 9)
    expect(text('[aria-live]')).toBe(`${SAID}+200.00, up 100.00.`)
    await ticks([worth('A', 400)])
    await passes(1000)
    expect(text('[aria-live]')).toBe(`${SAID}+400.00, up 200.00.`)
    await settings.set({ announce: false })
    expect(text('[aria-live]')).toBeUndefined()
  })

  it('are still announced after the page is reopened, if an address of the first release asked for it', async () => {
    history.replaceState(null, '', '/#announce=on')
    await page([worth('A', 0)])
    for (const app of apps.splice(0)) app.unmount()
    history.replaceState(null, '', '/')
    const { passes, text, ticks } = await page([worth('A', 0)])
    await seconds(passes, 10)
    await ticks([worth('A', 100)])
    await passes(1000)
    expect(text('[aria-live]')).toBe(`${SAID}+100.00, up 100.00.`)
  })

  it('are announced after the clock was set back', async () => {
    localStorage.setItem(KEY, JSON.stringify({ announce: true }))
    const { passes, text, ticks } = await page([worth('A', 0)])
    await passes(-3_600_000)
    await ticks([worth('A', 100)])
    await passes(1000)
    expect(text('[aria-live]')).toBe(`${SAID}+100.00, up 100.00.`)
  })

  it('do not include a restart of the daemon', async () => {
    localStorage.setItem(KEY, JSON.stringify({ announce: true }))
    const { passes, shows, text } = await page([worth('A', 0)])
    await seconds(passes, 10)
    await shows([], { status: status({ positions: UNREAD }) })
    await seconds(passes, 10)
    await shows([worth('A', 0)])
    await seconds(passes, 10)
    expect(text('[aria-live]')).toBe('')
  })
})

describe('an old tab', () => {
  it('shows the parts that it knows of a newer daemon\'s document', async () => {
    const newer = { ...worth('A', 1), greeks: { delta: 0.1 }, valuation: { ...worth('A', 1).valuation, theta: 4 } }
    const newerStatus = { ...status(), state: 'resting', source: 'paper-two', hints: ['of whatever kind'] } as unknown as Status
    const { host, names, text } = await page([newer], { status: newerStatus, later: [] } as Partial<Document>)
    expect(names()).toEqual(['A'])
    expect(text('.condor-pl b')).toBe('+$1.00')
    expect(text('.condor-notes')).toBe('Feed resting since 09:30:00 ET')
    expect(text('[role=status]')).toContain('resting.')
    expect(host.querySelector<HTMLElement>('.standing')!.dataset['tone']).toBe('bad')
    expect(text('.standing')).toContain('indicative · paper-two')
    expect(host.textContent).not.toContain('undefined')
  })
})

describe('a cut', () => {
  const cut: Link = { state: 'reconnecting', since: NOW - 5000, retryAt: NOW + 2000 }

  it('is shown with its time and the next attempt', async () => {
    const { links, text } = await page([worth('A', 1)])
    await links(cut)
    expect(text('.standing')).toContain('No connection to condord since 10:30:55 ET')
    expect(text('.standing')).toContain('Next attempt at 10:31:02 ET.')
  })

  it('shows no attempt in the past', async () => {
    const { links, passes, text } = await page([worth('A', 1)])
    await links(cut)
    await passes(2000)
    expect(text('.standing')).not.toContain('Next attempt')
  })

  it('is not a gap without a document before it', async () => {
    const { live, link, show } = createLive(NOW)
    const host = document.body.appendChild(document.createElement('div'))
    const app = createApp(App, { live })
    app.mount(host)
    apps.push(app)
    for (const next of [cut, { ...cut, state: 'open', retryAt: null } as const]) {
      link.value = next
      await loaded()
    }
    show(account('e-1', []))
    await nextTick()
    expect(host.querySelector('.standing')!.textContent).toContain('Live.')
    expect(host.querySelector('.gap')).toBeNull()
  })

  describe('by a daemon that requires a token', () => {
    const refused: Link = { ...cut, state: 'refused' }

    it('shows the form for the token and keeps the data', async () => {
      const { host, links, names, text } = await page([worth('A', 1)])
      expect(host.querySelector('form.token')).toBeNull()
      await links(refused)
      expect(text('[role=status]')).toContain('The page shows data from 10:30:55 ET. The token is missing or wrong.')
      expect(text('.token h2')).toBe('condord requires a token')
      expect(names()).toEqual(['A'])
      await links({ state: 'open', since: NOW, retryAt: null })
      expect(host.querySelector('form.token')).toBeNull()
    })

    it('shows another heading if the page\'s token is not accepted', async () => {
      const { links, text } = await page([worth('A', 1)], {}, { token: 'wrong' })
      await links(refused)
      expect(text('.token h2')).toBe('condord does not accept the token')
    })

    it('emits the typed token, trimmed, and clears the field', async () => {
      const onGive = vi.fn()
      const { host, links } = await page([worth('A', 1)], {}, { onGive })
      await links(refused)
      const field = host.querySelector<HTMLInputElement>('.token input')!
      expect([field.type, document.activeElement]).toEqual(['password', field])
      const submits = async (value: string) => {
        field.value = value
        field.dispatchEvent(new Event('input'))
        host.querySelector('form.token')!.dispatchEvent(new Event('submit'))
        await nextTick()
      }
      await submits('   ')
      expect(onGive).not.toHaveBeenCalled()
      await submits(' the-token\n')
      expect(onGive).toHaveBeenCalledExactlyOnceWith('the-token')
      expect(field.value).toBe('')
    })
  })

  it('resets the tab\'s title when it is unmounted', async () => {
    await page([worth('A', 1)])
    expect(document.title).toContain('155')
    apps.pop()!.unmount()
    expect(document.title).toBe('condord')
  })

  it('is shown as a gap for a minute after it', async () => {
    const { links, passes, text } = await page([worth('A', 1)])
    await links(cut)
    await links({ state: 'open', since: NOW + 4000, retryAt: null })
    expect(text('.gap')).toBe('Connected again. No data was received from 10:30:55 ET to 10:31:04 ET.')
    await passes(SHOWN_MS)
    expect(text('.gap')).toBeUndefined()
  })

  it('begins with the first attempt that fails, however many follow', async () => {
    const { links, text } = await page([worth('A', 1)])
    await links(cut)
    await links({ ...cut, retryAt: NOW + 9000 })
    await links({ state: 'open', since: NOW + 9000, retryAt: null })
    expect(text('.gap')).toContain('from 10:30:55 ET to 10:31:09 ET')
  })
})
