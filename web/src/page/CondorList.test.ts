import { createApp, nextTick, reactive, type App as Application, type ComponentOptions } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { alert, AS_OF, broken, condor, document as account, loaded, risk, status, UNREAD, valuation } from '../../tests/account'
import type { Condor, Document } from '../document'
import { createLive } from '../live'
import CondorList from './CondorList.vue'
import { DEFAULTS, type Settings } from './settings'
import { useAcknowledge } from './useAcknowledge'
import { PAUSE_MS } from './useOrder'

const NOW = Date.parse(AS_OF)
const apps: Application[] = []

/** Mounts the list with an account, and counts how often each component is rendered again. */
async function list(condors: Condor[], changes: Partial<Document> = {}, settings: Partial<Settings> = {}) {
  const { live, link, now, show } = createLive(NOW)
  const host = document.body.appendChild(document.createElement('div'))
  const chosen = reactive<Settings>({ ...DEFAULTS, ...settings })
  const requests: string[] = []
  const acknowledging = useAcknowledge((path) => (requests.push(path), Promise.resolve(new Response())), live)
  const app = createApp(CondorList, { live, settings: chosen, acknowledging })
  const renders: Record<string, number> = {}
  app.mixin({
    beforeUpdate() {
      const name = (this.$options as ComponentOptions).__name as string
      renders[name] = (renders[name] ?? 0) + 1
    },
  })
  let version = 0
  const shows = async (next: Condor[], others: Partial<Document> = changes) => {
    show(account(`e-${++version}`, next, others))
    await nextTick()
  }
  app.mount(host)
  apps.push(app)
  link.value = { state: 'open', since: NOW, retryAt: null }
  await shows(condors)
  await loaded()
  const all = <Found extends Element = HTMLElement>(selector: string) => [...host.querySelectorAll<Found>(selector)]
  const texts = (selector: string) => all(selector).map((each) => each.textContent!.trim().replace(/\s+/g, ' '))
  const place = () => all('.card-grid, .condor-table')[0]!.parentElement!
  return {
    host,
    all,
    texts,
    text: (selector: string) => texts(selector)[0],
    names: () => all('.card-grid > li > [data-condor], tr[data-condor]').map((each) => each.dataset['condor']!.split('-')[0]),
    stops: () => all('[data-stop]'),
    renders,
    chosen,
    requests,
    shows,
    async passes(ms: number) {
      now.value += ms
      await nextTick()
    },
    async points(isIn: boolean) {
      place().dispatchEvent(new Event(isIn ? 'pointerenter' : 'pointerleave'))
      await nextTick()
    },
    async choose(name: string, value: string) {
      const label = all('label').find((each) => each.textContent!.trim().startsWith(name))!
      const control = label.querySelector<HTMLInputElement>('input, select')!
      control.value = value
      control.dispatchEvent(new Event(control.tagName === 'SELECT' ? 'change' : 'input'))
      await loaded()
    },
    async click(element: Element | undefined) {
      ;(element as HTMLElement).click()
      await loaded()
    },
  }
}

const TABLE = '#view=table'

function worth(root: string, unrealizedPl: number | null, changes: Partial<Condor> = {}): Condor {
  const one = condor(root, changes)
  return { ...one, valuation: valuation(one.id, { unrealizedPl }) }
}

async function press(target: EventTarget, key: string, more: KeyboardEventInit = {}) {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...more })
  target.dispatchEvent(event)
  await nextTick()
  return event
}

const at = (hash: string) => history.replaceState(null, '', `/${hash}`)
const rootOf = (element: Element | null) => element?.closest<HTMLElement>('[data-condor]')?.dataset['condor']?.split('-')[0]
const focused = () => rootOf(document.activeElement)

beforeEach(() => at(''))
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
  document.body.replaceChildren()
})

describe('the section', () => {
  it('is headed "Condors" and counts them', async () => {
    const { text } = await list([worth('A', 1), worth('B', 1)])
    expect([text('h2'), text('.count')]).toEqual(['Condors', '2'])
  })

  it('reports an account without condors, and one that has not been read', async () => {
    const { host, shows, text } = await list([])
    expect(text('.empty')).toBe('The account holds no iron condor.')
    expect(host.querySelector('form')).toBeNull()
    await shows([], { status: status({ state: 'starting', positions: UNREAD }) })
    expect(text('.empty')).toBe('The account has not been read yet.')
  })

  it('shows a broken condor in its place, the first, as a card and as a row', async () => {
    const lost = { ...broken('TORN-1', { A: 1, B: 0, C: 0 }), root: 'TORN', unrealizedPl: -40 }
    const { click, all, names, text } = await list([worth('A', 1)], { broken: [lost] })
    expect([names(), text('.count')]).toEqual([['TORN', 'A'], '2'])
    await click(all('.segments button')[1])
    expect(names()).toEqual(['TORN', 'A'])
    expect(text('tr[data-condor="TORN-1"]')).toContain('×2 no put 705 …')
    expect(text('tr[data-condor="TORN-1"]')).toContain('−$40.00')
    expect(all('tr[data-condor="TORN-1"] [role=img]')[0]!.getAttribute('aria-label')).toBe('Critical: legs are missing')
  })
})

describe('a partly broken condor', () => {
  const whole = { ...worth('A', 1), quantity: 1 }
  const { id } = whole
  const lost = { ...broken(id, { X: 0, Y: 1 }, 1), root: 'A', unrealizedPl: -40 }
  const alerts = [alert('broken-condor', { condorId: id, severity: 'critical', text: 'A: it lost a leg.' }), alert('tested', { condorId: id, text: 'A: it is near.' })]
  const keys = (host: HTMLElement) => [...host.querySelectorAll<HTMLElement>('[data-key]')].map(({ dataset }) => [dataset['key'], dataset['condor']])

  it('has two cards, the broken one first, each with its own alerts and closing order', async () => {
    const { all, click, host, text, texts } = await list([whole], { broken: [lost], alerts })
    await vi.waitFor(() => expect(keys(host)).toEqual([[`${id}:broken`, id], [id, id]]))
    expect(text('.count')).toBe('2')
    expect(texts('article .condor-title').map((each) => each.split(' ')[1])).toEqual(['lost', '705/715/770/780'])
    expect(texts('article .condor-alarm li').map((each) => each.slice(0, 9))).toEqual(['It lost a', 'It is nea'])
    const orders = () => all('article button').filter((each) => each.textContent === 'Copy closing order')
    await click(orders()[0])
    expect(orders().map((each) => each.getAttribute('aria-expanded'))).toEqual(['true', 'false'])
    await click(orders()[0])
  })

  it('has two rows, which open by themselves, and "Find" finds either', async () => {
    at(TABLE)
    const { all, choose, click, host, texts } = await list([whole], { broken: [lost], alerts })
    expect(texts('tr[data-key] .of-pl')).toEqual(['−$40.00', '+$1.00'])
    expect(all('tr[data-key] [role=img]').map((each) => each.getAttribute('aria-label')!.split(':')[0])).toEqual(['Critical', 'Warning'])
    await click(all('tr[data-key] td')[0])
    expect(all('tr[data-of]').map((each) => each.dataset['of'])).toEqual([`${id}:broken`])
    expect(texts('tr[data-of] .condor-title')).toEqual(['A lost its long put 705'])
    await click(all('tr[data-key] td')[0])
    await choose('Find', 'broken')
    expect(keys(host)).toEqual([[`${id}:broken`, id]])
    await choose('Find', 'tested')
    expect(keys(host)).toEqual([])
  })

  it('is counted as new, and stays in its place, while the pointer is in the list', async () => {
    const { all, host, shows } = await list([worth('B', 1), whole])
    all('[data-key]')[0]!.closest('section > div')!.dispatchEvent(new Event('pointerenter'))
    await shows([worth('B', 1), whole], { broken: [lost] })
    expect(keys(host)).toHaveLength(2)
    expect(host.querySelector('.again')?.textContent).toContain('1 new')
  })
})

describe('a card of the list', () => {
  it.each(['', TABLE])('acknowledges the alerts of its condor at the daemon (%s)', async (hash) => {
    at(hash)
    const one = worth('A', 1)
    const { all, requests, click } = await list([one], { alerts: [alert(`breached:${one.id}`, { condorId: one.id })] })
    if (hash) await click(all('tr[data-condor]')[0])
    await click(all('article button').find((each) => each.textContent === 'Acknowledge'))
    expect(requests).toEqual([`api/alerts/${encodeURIComponent(`breached:${one.id}`)}/acknowledge`])
  })

  it('has the density and the flashes of the settings, a link to its history, and a heading below its group', async () => {
    const { all, chosen, texts } = await list([worth('A', 1)])
    expect(texts('article :is(h2, h3, h4)')).toEqual(['A'])
    expect(all('article h3')).toHaveLength(1)
    expect(texts('article .condor-actions button')).toContain('History')
    chosen.density = 'compact'
    await nextTick()
    expect(all('article')[0]!.dataset['density']).toBe('compact')
  })
})

describe('the toolbar', () => {
  it('keeps what is chosen in the address', async () => {
    const { all, choose, click, names } = await list([worth('A', 1), worth('B', -2)])
    expect(all('[aria-pressed=true]').map((each) => each.textContent)).toEqual(['Cards'])
    await click(all('.segments button')[1])
    await choose('Sort by', 'pl')
    expect([location.hash, names()]).toEqual(['#view=table&sort=pl', ['B', 'A']])
    await click(all('.direction')[0])
    expect([location.hash, names()]).toEqual(['#view=table&sort=-pl', ['A', 'B']])
    await choose('Sort by', 'urgency')
    await choose('Group', 'underlying')
    await choose('Find', 'losing')
    expect([location.hash, names()]).toEqual(['#view=table&group=underlying&find=losing', ['B']])
  })

  it('reads an address of the first release', async () => {
    at('#sort=best&show=losing')
    const { names, text, host } = await list([worth('A', -3), worth('B', -2), worth('C', 1)])
    expect(names()).toEqual(['B', 'A'])
    expect(text('.toolbar .aside')).toBe('2 of 3')
    expect(host.querySelector<HTMLInputElement>('.find input')!.value).toBe('losing')
  })

  it('reports if nothing matches', async () => {
    const { choose, names, text } = await list([worth('A', 1)])
    await choose('Find', 'zzz')
    expect([names(), text('.empty')]).toEqual([[], 'No condor matches.'])
  })

  it('is reached by "/", unless something is typed, and left by Escape', async () => {
    const { host, choose, names } = await list([worth('A', 1)])
    const find = host.querySelector<HTMLInputElement>('.find input')!
    expect((await press(document.body, '/', { ctrlKey: true })).defaultPrevented).toBe(false)
    expect((await press(document.body, '/')).defaultPrevented).toBe(true)
    expect(document.activeElement).toBe(find)
    expect((await press(find, '/')).defaultPrevented).toBe(false)
    await choose('Find', 'zzz')
    await press(find, 'Escape')
    expect([find.value, names(), location.hash]).toEqual(['', ['A'], ''])
    expect(document.activeElement).toBe(document.body)
    await press(document.body, 'j')
    expect(focused()).toBe('A')
  })

  it('goes to the first hit by Enter', async () => {
    const { host, choose } = await list([worth('A', 1), worth('B', 2), worth('C', 3)])
    await press(document.body, '/')
    await choose('Find', 'B')
    host.querySelector<HTMLFormElement>('.toolbar')!.requestSubmit()
    expect(focused()).toBe('B')
    await choose('Find', 'zzz')
    expect(() => host.querySelector<HTMLFormElement>('.toolbar')!.requestSubmit()).not.toThrow()
  })

  it('keeps the chosen columns in the settings', async () => {
    at(TABLE)
    const { all, chosen, click, texts } = await list([worth('A', 1)], {}, { columns: ['pl', 'today'] })
    expect(texts('thead th').slice(1)).toEqual(['Condor', 'P/L', 'Today'])
    const box = (name: string) => all('.choices label').find((each) => each.textContent!.trim() === name)!.querySelector('input')!
    await click(box('Vega'))
    await click(box('Today'))
    expect(texts('thead th').slice(1)).toEqual(['Condor', 'P/L', 'Vega'])
    expect(chosen.columns).toEqual(['condor', 'pl', 'vega'])
    await click(all('.choices fieldset button')[0])
    expect(chosen.columns).toBeNull()
    expect(texts('thead th')).toHaveLength(13)
  })
})

describe('the first frame', () => {
  const frames: (() => void)[] = []
  const frame = async () => {
    for (const call of frames.splice(0)) call()
    await nextTick()
  }
  const many = (count: number) => Array.from({ length: count }, (_, at) => worth(String.fromCharCode(65 + at), 1))

  beforeEach(() => {
    frames.length = 0
    vi.stubGlobal('requestAnimationFrame', (call: () => void) => frames.push(call))
  })
  afterEach(() => vi.unstubAllGlobals())

  it('has four cards, and the others follow it, at most twelve in each', async () => {
    const { names } = await list(many(26))
    expect(names()).toHaveLength(4)
    await frame()
    expect(names()).toHaveLength(4)
    const counts: number[] = []
    while (frames.length) {
      await frame()
      counts.push(names().length)
    }
    expect(counts).toEqual([16, 26, 26])
  })

  it('is over before another condor is opened, which is shown at once', async () => {
    const { names, shows } = await list(many(2))
    while (frames.length) await frame()
    await shows(many(20))
    expect(names()).toHaveLength(20)
  })
})

describe('the order', () => {
  it('follows the prices after a pause, and members at once', async () => {
    at('#sort=-pl')
    const { names, passes, shows } = await list([worth('A', 1), worth('B', 2)])
    await shows([worth('A', 3), worth('B', 2)])
    expect(names()).toEqual(['B', 'A'])
    await passes(PAUSE_MS)
    expect(names()).toEqual(['A', 'B'])
    await shows([worth('B', 2), worth('C', 3)])
    expect(names()).toEqual(['C', 'B'])
  })

  it.each(['', `${TABLE}&`])('holds still while the pointer is in the list, and what would change is counted (%s)', async (hash) => {
    at(`${hash || '#'}sort=pl`)
    const { names, passes, points, shows, text } = await list([worth('A', 1), worth('B', 2), worth('C', 3)])
    await points(true)
    await shows([worth('B', 5), worth('C', 4), worth('D', 0), worth('E', 0)])
    await passes(20_000)
    expect(names()).toEqual(['A', 'B', 'C'])
    expect(text('.again button')).toBe('2 new, 1 gone: sort again')
    await points(false)
    await passes(5000)
    expect(names()).toEqual(['D', 'E', 'C', 'B'])
    expect(text('.again')).toBeUndefined()
  })

  it('holds still while focus is in the list, even if only the order would change', async () => {
    at('#sort=pl')
    const { all, names, click, passes, shows, stops, text } = await list([worth('A', 1), worth('B', 2)])
    stops()[1]!.focus()
    await shows([worth('A', 9), worth('B', 2)])
    await passes(20_000)
    expect([names(), text('.again button')]).toEqual([['A', 'B'], 'The order has changed: sort again'])
    await click(all('.again button')[0])
    expect([names(), text('.again'), document.activeElement!.textContent]).toEqual([['B', 'A'], undefined, 'Condors'])
  })

  it('is not held still by focus on a header', async () => {
    at(TABLE)
    const { all, click, names, passes, shows } = await list([worth('A', 1), worth('B', 2)])
    const header = all('thead button')[3]!
    header.focus()
    await click(header)
    await shows([worth('A', 9), worth('B', 2)])
    await passes(PAUSE_MS)
    expect([names(), location.hash]).toEqual([['B', 'A'], '#view=table&sort=pl'])
  })

  it('changes at once when another one is chosen', async () => {
    at('#sort=pl')
    const { choose, names, points } = await list([worth('A', 1), worth('B', 2)])
    await points(true)
    await choose('Sort by', 'condor')
    expect(names()).toEqual(['A', 'B'])
  })

  it('is free again once a search without a result has removed the list from under the pointer', async () => {
    const { choose, names, passes, points, shows } = await list([worth('A', 1)])
    await points(true)
    await choose('Find', 'B')
    expect(names()).toEqual([])
    await shows([worth('A', 1), worth('B', 1)])
    await passes(PAUSE_MS)
    expect(names()).toEqual(['B'])
  })
})

describe('the table', () => {
  beforeEach(() => at(TABLE))

  it('has a row for each condor, with the mark of its severity', async () => {
    const urgent = worth('A', -511)
    const alerts = [alert('x', { condorId: urgent.id, severity: 'critical', text: 'breached' })]
    const { all, texts } = await list([urgent, worth('B', 0)], { alerts })
    expect(texts('tr[data-condor] th')).toEqual(['A 705/715/770/780 ×2', 'B 705/715/770/780 ×2'])
    expect(texts('tr[data-condor] .of-pl')).toEqual(['−$511.00', '$0.00'])
    expect(all('.of-pl').map((each) => each.className)).toEqual(['of-pl', 'of-pl loss', 'of-pl'])
    expect(all('[role=img]').map((each) => each.getAttribute('aria-label'))).toEqual(['Critical: breached'])
  })

  it('names a breach beside an alert that is about something else, and not twice', async () => {
    const breached = (root: string) => ({ ...worth(root, 1), risk: risk('x', { breached: true, tested: 'put' }) })
    const fires = (id: string, text: string) => alert(text, { condorId: id, severity: 'critical', text })
    const [one, other] = [breached('A'), breached('B')]
    const { all } = await list([one, other], { alerts: [fires(one.id, 'It expires today.'), fires(other.id, 'The short put 715 is breached.')] })
    const words = ['It expires today.; a short strike is breached', 'The short put 715 is breached.']
    expect(all('td.of-mark').map((each) => each.title)).toEqual(words)
    expect(all('td.of-mark [role=img]').map((each) => each.getAttribute('aria-label'))).toEqual(words.map((text) => `Critical: ${text}`))
  })

  it('has the time left for orders instead of the days on the last trading day', async () => {
    const cutoffAt = (seconds: number) => new Date(NOW + seconds * 1000).toISOString()
    const lasting = (root: string, seconds: number) => {
      const cutoffs = [{ kind: 'orders' as const, at: cutoffAt(seconds), source: 'config' as const }]
      return { ...worth(root, 1), daysToExpiration: 0, expiry: { lastTradingAt: cutoffAt(3600), settlesAt: cutoffAt(3600), cutoffs } }
    }
    const { texts, renders, passes } = await list([lasting('A', 330), lasting('B', -1), worth('C', 1)])
    expect(texts('tr[data-condor] .of-expires')).toEqual(['5 min', 'no orders', 'Dec 18 · 28 d'])
    await passes(60_000)
    expect(texts('tr[data-condor] .of-expires')).toEqual(['4 min', 'no orders', 'Dec 18 · 28 d'])
    const before = renders['CondorRow']
    await passes(1000)
    expect(renders['CondorRow']).toBe(before)
  })

  it('is sorted by its headers', async () => {
    const { all, click, names } = await list([worth('A', 1), worth('B', 2)])
    const sorted = () => all('[aria-sort]').map((each) => `${each.textContent!.trim()} ${each.ariaSort ?? each.getAttribute('aria-sort')}`)
    expect(sorted()).toEqual([' ascending'])
    const header = all('thead button').find((each) => each.textContent === 'P/L')
    await click(header)
    expect([sorted(), names()]).toEqual([['P/L ascending'], ['A', 'B']])
    await click(header)
    expect([sorted(), names()]).toEqual([['P/L descending'], ['B', 'A']])
    await click(all('thead button')[0])
    expect([sorted(), location.hash]).toEqual([[' ascending'], TABLE])
  })

  it('offers the order of a column in the toolbar as well', async () => {
    const { all, click, host } = await list([worth('A', 1)])
    await click(all('thead button').find((each) => each.textContent === 'Theta'))
    const select = host.querySelector<HTMLSelectElement>('.choice select')!
    expect([select.value, select.selectedOptions[0]!.textContent]).toEqual(['theta', 'Theta'])
  })

  it('opens rows to their cards by click and by keys, and closes them by Escape', async () => {
    const { all, click, stops } = await list([worth('A', 1), worth('B', 2)])
    const open = () => all('.opened article').map((each) => rootOf(each))
    await click(all('tr[data-condor] td')[2])
    expect([open(), stops()[0]!.getAttribute('aria-expanded')]).toEqual([['A'], 'true'])
    stops()[1]!.focus()
    await click(stops()[1])
    expect(open()).toEqual(['A', 'B'])
    await press(stops()[1]!, 'Escape')
    expect([open(), focused()]).toEqual([['A'], 'B'])
    await press(all('.opened article')[0]!, 'Escape')
    expect([open(), focused()]).toEqual([[], 'A'])
    await press(stops()[0]!, 'ArrowRight')
    expect(open()).toEqual(['A'])
    await press(stops()[0]!, 'ArrowLeft')
    expect(open()).toEqual([])
  })

  it('keeps the last figures of a condor that is gone while the list holds still', async () => {
    const { points, shows, text, all } = await list([worth('A', 1), worth('B', 2)])
    await points(true)
    await shows([worth('B', 2)])
    expect(text('tr[data-condor^=A]')).toContain('+$1.00')
    expect(all('tr[data-doubt]').map((each) => each.title)).toEqual(['No longer held'])
  })

  it('shows the price of an underlying that is not confirmed, and marks it', async () => {
    at(TABLE)
    const held = worth('A', 1)
    const risk = { ...held.risk, price: null }
    const price = (changes: object) => ({ underlyings: [{ ...account('x').underlyings[0]!, symbol: held.underlying, price: 741.51, ...changes }] })
    const { all, shows } = await list([{ ...held, risk }], price({ unconfirmed: true, reason: 'stale' }))
    const cell = () => all('.condor-row .of-price').map((each) => [each.textContent, each.className.includes('soft'), each.title])
    expect(cell()).toEqual([['741.51', true, 'Not confirmed']])
    await shows([held], price({}))
    expect(cell()).toEqual([['742.00', false, '']])
    await shows([{ ...held, risk }], price({ price: null, reason: 'noQuote' }))
    expect(cell()[0]![0]).toBe('—')
  })

  it('marks figures that are old or not confirmed', async () => {
    const doubted = { ...worth('B', 1), valuation: valuation('B', { unconfirmed: true }) }
    const { all, shows } = await list([worth('A', 1), doubted])
    expect(all('tr[data-doubt]').map((each) => each.dataset['doubt'])).toEqual(['The quotes are not confirmed'])
    expect(all('table')[0]!.dataset['old']).toBeUndefined()
    await shows([worth('A', 1)], { status: status({ state: 'stale' }) })
    expect(all('table')[0]!.dataset['old']).toBe('')
  })

  it('sums its groups, and shows no sum with an unknown part', async () => {
    at(`${TABLE}&group=underlying`)
    const second = { ...worth('A', 3), id: 'A-2' }
    const { texts, shows, passes } = await list([worth('A', 1), second, worth('B', null)])
    expect(texts('.group-row th')).toEqual(['A 2', 'B 1'])
    expect(texts('tbody:nth-of-type(1) .group-row td').filter(Boolean)).toEqual(['+$4.00', '+$37.00', '−6.4', '+$23.60'])
    expect(texts('tbody:last-child .group-row td').filter(Boolean)[0]).toBe('—')
    await shows([worth('A', 2), second, worth('B', null)])
    await passes(1000)
    expect(texts('tbody:nth-of-type(1) .group-row td')[2]).toBe('+$5.00')
  })

  it('renders a row only when its own condor changes', async () => {
    const held = Array.from({ length: 100 }, (_, at) => worth(`S${at}`, at))
    const { renders, shows, text } = await list(held)
    for (const name of Object.keys(renders)) delete renders[name]
    await shows(held.map((one, at) => (at === 42 ? worth('S42', -7) : one)))
    expect(text('tr[data-condor^=S42] .of-pl')).toBe('−$7.00')
    expect(renders).toEqual({ CondorRow: 1, ProfitBar: 1 })
  })
})

describe('groups of cards', () => {
  it('have headings with their sums', async () => {
    at('#group=expiration')
    const { texts, names } = await list([worth('A', 1), worth('B', 2)])
    expect(texts('.group-heading')).toEqual(['Dec 18, 2026 2 +$3.00 P/L +$37.00 today +$23.60 theta a day'])
    expect(names()).toEqual(['A', 'B'])
  })
})

describe.each([
  ['card', '', '.card-grid > li', '.condor-pl b'],
  ['row', TABLE, '.condor-row', '.of-pl'],
])('a %s out of sight', (_, hash, item, figure) => {
  it('is updated once a second, and at once when it becomes visible', async () => {
    at(hash)
    let report: IntersectionObserverCallback
    class Sight {
      constructor(callback: IntersectionObserverCallback) {
        report = callback
      }
      observe() {}
      disconnect() {}
    }
    vi.stubGlobal('IntersectionObserver', Sight)
    const { all, shows, passes } = await list([worth('A', 1), worth('B', 1)])
    const figures = () => all(`tbody ${figure}, article ${figure}`).map((each) => /[\d.]+/.exec(each.textContent!)![0])
    const sees = (isIntersecting: boolean) => {
      report([{ target: all(item)[1]!, isIntersecting } as unknown as IntersectionObserverEntry], {} as IntersectionObserver)
      return shows([worth('A', 2), worth('B', 2)])
    }
    await sees(false)
    expect(figures()).toEqual(['2.00', '1.00'])
    await passes(1000)
    expect(figures()).toEqual(['2.00', '2.00'])
    await shows([worth('A', 3), worth('B', 3)])
    expect(figures()).toEqual(['3.00', '2.00'])
    await sees(true)
    await shows([worth('A', 4), worth('B', 4)])
    expect(figures()).toEqual(['4.00', '4.00'])
  })
})

describe.each([
  ['cards', ''],
  ['rows', TABLE],
])('the keyboard, on %s', (_, hash) => {
  beforeEach(() => at(hash))

  it('reaches one by Tab and the others by arrow keys', async () => {
    const { stops } = await list([worth('A', 1), worth('B', 2), worth('C', 3)])
    expect(stops().map((stop) => stop.tabIndex)).toEqual([0, -1, -1])
    stops()[0]!.focus()
    expect((await press(stops()[0]!, 'End')).defaultPrevented).toBe(true)
    expect(focused()).toBe('C')
    expect(stops().map((stop) => stop.tabIndex)).toEqual([-1, -1, 0])
    await press(stops()[2]!, 'Home')
    expect(focused()).toBe('A')
  })

  it('moves by "j" and "k" from anywhere', async () => {
    const { stops, shows } = await list([worth('A', 1), worth('B', 2)])
    await press(document.body, 'j')
    expect(focused()).toBe('A')
    await press(document.activeElement!, 'j')
    expect(focused()).toBe('B')
    expect((await press(document.activeElement!, 'j')).defaultPrevented).toBe(false)
    await press(document.activeElement!, 'k')
    expect(focused()).toBe('A')
    stops()[1]!.focus()
    stops()[1]!.blur()
    await press(document.body, 'k')
    expect(focused()).toBe('B')
    stops()[1]!.blur()
    await shows([])
    expect((await press(document.body, 'j')).defaultPrevented).toBe(false)
  })

  it('leaves all other keys to the browser', async () => {
    const { stops, host } = await list([worth('A', 1), worth('B', 2)])
    for (const key of ['Enter', 'a', 'Escape']) expect((await press(stops()[0]!, key)).defaultPrevented).toBe(false)
    expect((await press(stops()[0]!, 'j', { metaKey: true })).defaultPrevented).toBe(false)
    expect((await press(host.querySelector('.find input')!, 'j')).defaultPrevented).toBe(false)
  })

  it('returns to the first one if the chosen one is gone', async () => {
    const { stops, shows, passes } = await list([worth('A', 1), worth('B', 2)])
    stops()[1]!.focus()
    stops()[1]!.blur()
    await shows([worth('A', 1)])
    await passes(PAUSE_MS)
    expect(stops().map((stop) => stop.tabIndex)).toEqual([0])
  })
})

it('the arrow keys of a row at the end of the table belong to the page', async () => {
  at(TABLE)
  const scroll = vi.spyOn(Element.prototype, 'scrollIntoView').mockImplementation(() => {})
  const { stops } = await list([worth('A', 1)])
  stops()[0]!.focus()
  expect((await press(stops()[0]!, 'ArrowDown')).defaultPrevented).toBe(false)
  expect(scroll).not.toHaveBeenCalled()
  scroll.mockRestore()
})
