import { effectScope, nextTick, ref, watchEffect, type EffectScope } from 'vue'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Address } from '../src/address'
import type { LiveConnection } from '../src/live'
import type { Ticket } from '../src/tickets'
import { useCondorStream, type StreamOptions } from '../src/useCondorStream'
import { AS_OF, condor, document, status, totals, valuation } from './account'
import { chance, Tab, World } from './world'

const STREAM_URL = 'http://condord.test/api/stream'
const scopes: EffectScope[] = []

function use(tab: Tab, options: StreamOptions = {}, url: () => Address = () => STREAM_URL) {
  const scope = effectScope()
  scopes.push(scope)
  let live!: LiveConnection
  scope.run(() => (live = useCondorStream(url, { environment: tab, ...options })))
  return { live, leave: () => scope.stop() }
}

/** A tab that has received its snapshot. */
function started(options: StreamOptions = {}) {
  const tab = new Tab()
  const { live, leave } = use(tab, options)
  tab.source.opens()
  tab.source.sends('snapshot', document('e-1'), 'e-1')
  tab.paint()
  return { tab, live, leave }
}

/** Lets all pending promises settle. */
const settled = () => new Promise((resolve) => setTimeout(resolve))

const tick = (mark: number) => ({
  asOf: AS_OF,
  quotes: [],
  valuations: [valuation(condor().id, { mark })],
  unmatched: [],
})

/** Advances the time by some seconds and sends a heartbeat. */
function beat(tab: Tab, seconds: number) {
  tab.world.pass(seconds * 1000)
  tab.source.sends('heartbeat', { asOf: new Date(tab.now()).toISOString() })
}

afterEach(() => {
  for (const scope of scopes.splice(0)) scope.stop()
})

describe('the state', () => {
  it('is empty until the first snapshot', () => {
    const { live } = use(new Tab())
    expect(live.document.value).toBeNull()
    expect(live.condors.value.size).toBe(0)
    expect(live.link.value.state).toBe('connecting')
  })

  it('is the snapshot, by id and symbol', () => {
    const { live } = started()
    expect([...live.condors.value.keys()]).toEqual([condor().id])
    expect(live.quotes.value.get('SPY261218P00705000')?.bid).toBe(2.63)
    expect(live.totals.value?.unrealizedPl).toBe(155)
    expect(live.status.value?.state).toBe('live')
    expect(live.link.value.state).toBe('open')
  })

  it('is shown once a frame with the latest values', () => {
    const { tab, live } = started()
    for (const mark of [1, 2, 3]) tab.source.sends('delta', tick(mark), `e-${mark + 1}`)
    expect(live.condors.value.get(condor().id)?.valuation.mark).toBe(2.435)
    tab.paint()
    expect(live.condors.value.get(condor().id)?.valuation.mark).toBe(3)
    expect(live.document.value?.version).toBe('e-4')
  })

  it('triggers only effects that read what has changed', async () => {
    const tab = new Tab()
    const { live } = use(tab)
    tab.source.sends('snapshot', document('e-1', [condor('SPY'), condor('QQQ')]), 'e-1')
    tab.paint()
    let other = 0
    let keys = 0
    scopes[0]!.run(() => {
      watchEffect(() => (other += live.condors.value.get(condor('QQQ').id)!.quantity), { flush: 'sync' })
      watchEffect(() => (keys += [...live.condors.value.keys()].length), { flush: 'sync' })
    })
    tab.source.sends('delta', tick(1), 'e-2')
    tab.paint()
    await nextTick()
    expect([other, keys]).toEqual([2, 2])
  })

  it('has the order of the newest snapshot without removed condors', () => {
    const { tab, live } = started()
    tab.source.sends('snapshot', document('e-2', [condor('IWM'), condor('SPY')]), 'e-2')
    tab.paint()
    expect([...live.condors.value.keys()]).toEqual([condor('IWM').id, condor('SPY').id])
    tab.source.sends('snapshot', document('e-3', [condor('IWM')]), 'e-3')
    tab.paint()
    expect([...live.condors.value.keys()]).toEqual([condor('IWM').id])
    expect(live.quotes.value.size).toBe(4)
  })

  it('records when condors arrive after the first document', () => {
    const { tab, live } = started()
    tab.source.sends('snapshot', document('e-2', [condor('SPY'), condor('QQQ')]), 'e-2')
    tab.paint()
    expect([...live.arrivals.value.keys()]).toEqual([condor('QQQ').id])
  })

  it.each([1, 2, 3, 4])('equals the document after random snapshots, ticks and frames (seed %i)', (seed) => {
    const next = chance(seed)
    const { tab, live } = started()
    const roots = ['SPY', 'QQQ', 'IWM', 'AAPL', 'XYZ']
    for (let step = 2; step < 100; step++) {
      const id = `e-${step}`
      const shuffled = roots.filter(() => next() < 0.6).sort(() => next() - 0.5)
      if (next() < 0.2) tab.source.sends('snapshot', document(id, shuffled.map((root) => condor(root))), id)
      else tab.source.sends('delta', tick(next()), id)
      if (next() < 0.3) continue
      tab.paint()
      const { condors, quotes } = live.document.value!
      expect([...live.condors.value.values()]).toEqual(condors)
      expect([...live.condors.value.keys()]).toEqual(condors.map((condor) => condor.id))
      expect([...live.quotes.value.values()]).toEqual(quotes)
    }
  })

  it('has the time by the daemon\'s clock in whole seconds', () => {
    const { tab, live } = started()
    tab.source.sends('heartbeat', { asOf: '2026-11-20T16:00:00.400Z' })
    tab.paint()
    expect(live.now.value).toBe(Date.parse('2026-11-20T16:00:00Z'))
    tab.world.pass(2000)
    expect(live.now.value).toBe(Date.parse('2026-11-20T16:00:02Z'))
  })

  it('updates totals and status when they change', () => {
    const { tab, live } = started()
    const changes = { totals: totals({ incomplete: 2 }), status: status({ state: 'stale' }) }
    tab.source.sends('delta', { ...tick(1), ...changes }, 'e-2')
    tab.paint()
    expect(live.totals.value?.incomplete).toBe(2)
    expect(live.status.value?.state).toBe('stale')
  })
})

describe('the error', () => {
  const condord = () => new Response(JSON.stringify(status()))
  const code = (number: number) => () => new Response('{}', { status: number })

  /** A tab whose first connection fails, and what `/api/status` answers then. */
  async function failed(answer: (() => Response | Promise<Response>) | null, options: StreamOptions = {}, url = STREAM_URL) {
    const tab = new Tab()
    if (answer) tab.answers.push(answer)
    const { live } = use(tab, options, () => url)
    await settled()
    if (!options.ticket || tab.sources.length) tab.source.fails()
    await settled()
    return { tab, live }
  }

  it.each([
    ['origin', null, STREAM_URL, `add ${location.origin} to its server.allowed_origins`],
    ['origin', code(403), STREAM_URL, `http://condord.test does not allow this page: add ${location.origin}`],
    ['unreachable', null, `${location.origin}/api/stream`, `condord does not answer at ${location.origin}`],
    ['token', code(401), STREAM_URL, 'requires a token: pass it with the option ticket'],
    ['token', code(401), `${STREAM_URL}?access_token=x`, 'does not accept the given token'],
    ['host', code(421), STREAM_URL, 'add it to its server.allowed_hosts'],
    ['address', code(404), 'http://condord.test/stream', 'There is no condord at http://condord.test/stream'],
    ['address', () => new Response('<html>'), 'http://condord.test/stream?access_token=x', 'There is no condord at http://condord.test/stream:'],
    ['address', () => new Response('null'), STREAM_URL, 'its address ends with /api/stream'],
    ['address', condord, 'http://condord.test/api/positions', 'its address ends with /api/stream'],
    ['unreachable', code(502), STREAM_URL, 'does condord run behind it?'],
    ['stream', condord, STREAM_URL, 'it may have too many subscribers, or a proxy'],
  ] as const)('is %s if the status reports that', async (code, answer, url, words) => {
    const { live } = await failed(answer, {}, url)
    expect(live.error.value).toMatchObject({ code, message: expect.stringContaining(words) as string })
    expect(live.link.value.state).toBe(code === 'token' ? 'refused' : 'reconnecting')
    expect(live.error.value!.message).not.toContain('=x')
  })

  it('is retried twice a minute after a refusal that only the status reported', async () => {
    const { tab, live } = await failed(code(401))
    expect(live.link.value).toMatchObject({ state: 'refused', retryAt: tab.now() + 30_000 })
    tab.world.pass(29_999)
    expect(tab.sources).toHaveLength(1)
    tab.world.pass(1)
    expect(tab.sources).toHaveLength(2)
  })

  it('asks for the status beside the stream, with the token of its address', async () => {
    const tab = new Tab()
    const fetched: string[] = []
    const fetch = tab.fetch.bind(tab)
    tab.fetch = (url, init) => fetch((fetched.push(url), url), init)
    use(tab, {}, () => `${STREAM_URL}?access_token=x&condor=y`)
    tab.source.fails()
    expect(fetched).toEqual(['http://condord.test/api/status?access_token=x'])
  })

  it('is gone with the first event', async () => {
    const { tab, live } = await failed(code(401))
    tab.world.pass(2000)
    tab.source.sends('snapshot', document('e-1'), 'e-1')
    expect([live.error.value, live.readyState.value]).toEqual([null, 'OPEN'])
    expect(tab.world.pending).toBe(2) // the silence limit and the clock
  })

  it('needs two failures after a connection that was open, as during a restart', async () => {
    const { tab, live } = started()
    tab.source.fails()
    await settled()
    expect([live.error.value, live.link.value.state, tab.fetches.length]).toEqual([null, 'reconnecting', 0])
    tab.world.pass(2000)
    tab.source.fails()
    await settled()
    expect(live.error.value?.code).toBe('unreachable')
  })

  it('is found while the browser retries by itself', async () => {
    const tab = new Tab()
    const { live } = use(tab)
    tab.source.breaks()
    await settled()
    expect(live.error.value?.code).toBe('origin')
  })

  it('is not an answer if the status takes too long', async () => {
    const { tab, live } = await failed(() => new Promise(() => {}))
    expect(live.error.value).toBeNull()
    // Each failure asks again; here the next one has a connection that waits.
    tab.world.pass(10_000)
    await settled()
    expect(live.error.value?.code).toBe('origin')
  })

  it('names a refused ticket, and a function for tickets that fails', async () => {
    const refused = await failed(null, { ticket: () => Promise.reject(Object.assign(new Error('no'), { status: 401 })) })
    expect(refused.live.error.value).toMatchObject({ code: 'token', message: 'condord at http://condord.test issued no ticket: the token is missing or wrong.' })
    const broken = await failed(condord, { ticket: () => Promise.reject(new Error('my backend is away')) }, 'http://two.test/api/stream')
    expect(broken.live.error.value).toEqual({ code: 'ticket', message: 'There is no ticket for the stream: my backend is away.' })
    const away = await failed(null, { ticket: () => Promise.reject(new TypeError('Failed to fetch')) }, 'http://three.test/api/stream')
    expect(away.live.error.value?.code).toBe('origin')
  })

  it('does not count the missing token of the status as a refusal if there are tickets', async () => {
    const { live } = await failed(code(401), { ticket: async () => 'T' })
    expect(live.error.value).toMatchObject({ code: 'stream', message: expect.stringContaining('the ticket may be refused') as string })
    expect(live.link.value.state).toBe('reconnecting')
  })
})

describe('open and close', () => {
  it('end the connection of one caller and begin it again', () => {
    const { tab, live } = started()
    expect(live.readyState.value).toBe('OPEN')
    live.close()
    expect([live.readyState.value, live.link.value.state, tab.source.readyState]).toEqual(['CLOSED', 'closed', 2])
    expect([live.document.value?.version, tab.world.pending]).toEqual(['e-1', 0])
    live.open()
    expect([live.readyState.value, tab.sources.length]).toEqual(['CONNECTING', 2])
    tab.source.sends('snapshot', document('e-2'), 'e-2')
    expect([live.readyState.value, live.document.value?.version]).toEqual(['OPEN', 'e-2'])
  })

  it('leave the stream to the others of the page', () => {
    const tab = new Tab()
    const [first, second] = [use(tab), use(tab)]
    tab.source.sends('snapshot', document('e-1'), 'e-1')
    first.live.close()
    first.live.close()
    first.leave()
    expect([first.live.readyState.value, second.live.readyState.value, tab.source.readyState]).toEqual(['CLOSED', 'OPEN', 0])
    second.leave()
    expect(tab.source.readyState).toBe(2)
  })

  it('open tries again at once while the next attempt is only due later, and keeps the values', () => {
    const { tab, live } = started()
    live.open()
    expect(tab.sources).toHaveLength(1)
    tab.source.fails()
    live.open()
    expect(tab.sources).toHaveLength(2)
    expect(tab.source.url).toBe(`${STREAM_URL}?lastEventId=e-1`)
    expect(live.document.value?.version).toBe('e-1')
    tab.world.pass(1500)
    expect(tab.sources).toHaveLength(2)
  })

  it('open does nothing after the scope has ended', () => {
    const { tab, live, leave } = started()
    leave()
    live.open()
    expect([tab.sources.length, live.readyState.value, tab.world.pending]).toEqual([1, 'CLOSED', 0])
  })
})

describe('an address', () => {
  it('may be set later', () => {
    const tab = new Tab()
    const url = ref<Address>()
    const { live } = use(tab, {}, () => url.value)
    expect([tab.sources.length, live.readyState.value, live.error.value]).toEqual([0, 'CONNECTING', null])
    url.value = new URL(STREAM_URL)
    tab.source.sends('snapshot', document('e-1'), 'e-1')
    expect(live.document.value?.version).toBe('e-1')
    url.value = null
    expect([tab.source.readyState, live.document.value, live.readyState.value]).toEqual([2, null, 'CONNECTING'])
    expect(tab.world.pending).toBe(0)
  })

  it('that changes after close is used by the next open', () => {
    const tab = new Tab()
    const url = ref<Address>(STREAM_URL)
    const { live } = use(tab, {}, () => url.value)
    live.close()
    url.value = 'http://other.test/api/stream'
    expect(tab.sources).toHaveLength(1)
    live.open()
    expect(tab.source.url).toBe('http://other.test/api/stream')
  })
})

describe('the connection', () => {
  it('is shared by all cards of a page and closed by the last', () => {
    const tab = new Tab()
    const first = use(tab)
    const second = use(tab)
    expect(tab.sources).toHaveLength(1)
    first.leave()
    expect(tab.source.readyState).not.toBe(2)
    second.leave()
    expect(tab.source.readyState).toBe(2)
    expect(tab.world.pending).toBe(0)
    use(tab)
    expect(tab.sources).toHaveLength(2)
  })

  it('is separate for another address', () => {
    const tab = new Tab()
    const url = ref(STREAM_URL)
    const { live } = use(tab, {}, () => url.value)
    tab.source.sends('snapshot', document('e-1'), 'e-1')
    tab.paint()
    url.value = 'http://other.test/api/stream'
    expect(tab.sources.map((source) => source.readyState)).toEqual([2, 0])
    expect(live.document.value).toBeNull()
    tab.source.sends('snapshot', document('f-1', []), 'f-1')
    tab.paint()
    expect(live.document.value?.version).toBe('f-1')
  })

  it.each(['http://', '', 'localhost:8420/api/stream'])('is refused for an invalid address, which the error names: "%s"', (url) => {
    const tab = new Tab()
    expect(() => use(tab, {}, () => url)).toThrow(`${JSON.stringify(url)} is not an http or https address`)
    expect(tab.sources).toEqual([])
  })

  it('ends with an error when the address becomes invalid and returns with a valid one', () => {
    const tab = new Tab()
    const url = ref(STREAM_URL)
    const errors = vi.spyOn(console, 'error').mockImplementation(() => {})
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const { live } = use(tab, {}, () => url.value)
    tab.source.sends('snapshot', document('e-1'), 'e-1')
    tab.paint()
    const refuse = () => (url.value = 'http://')
    expect(refuse).toThrow('"http://" is not an http or https address')
    expect(tab.source.readyState).toBe(2)
    expect(live.document.value).toBeNull()
    expect(tab.world.pending).toBe(0)
    url.value = STREAM_URL
    expect(tab.sources.map((source) => source.readyState)).toEqual([2, 0])
    errors.mockRestore()
    warned.mockRestore()
  })

  it('stays if the address is only spelled differently', () => {
    const tab = new Tab()
    const url = ref(STREAM_URL)
    use(tab, {}, () => url.value)
    url.value = 'http://condord.test/api/./stream'
    expect(tab.sources.map((source) => source.readyState)).toEqual([0])
  })

  it('is left to the browser while it reconnects by itself', () => {
    const { tab, live } = started()
    tab.world.pass(1000)
    tab.source.sends('delta', tick(1), 'e-2')
    const heardAt = tab.now()
    tab.world.pass(5000)
    tab.source.breaks()
    expect(live.link.value).toEqual({ state: 'reconnecting', since: heardAt, retryAt: null })
    beat(tab, 0)
    expect(live.link.value.state).toBe('open')
    expect(tab.sources).toHaveLength(1)
  })

  it('is reopened after the last version when the browser gives up', () => {
    const { tab, live } = started()
    tab.source.fails()
    expect(live.link.value.retryAt).toBe(tab.now() + 500)
    tab.world.pass(499)
    expect(tab.sources).toHaveLength(1)
    tab.world.pass(1)
    expect(tab.source.url).toBe(`${STREAM_URL}?lastEventId=e-1`)
    beat(tab, 0)
    expect(live.link.value.state).toBe('open')
    expect(live.condors.value.size).toBe(1)
  })

  it('is open only with the first event, on the first connection too', () => {
    const tab = new Tab()
    const { live } = use(tab)
    tab.source.opens()
    expect(live.link.value.state).toBe('connecting')
    beat(tab, 0)
    expect(live.link.value.state).toBe('open')
  })

  it('opens together with its first document, as old numbers would look live', () => {
    const { tab, live } = started()
    tab.source.breaks()
    tab.source.opens()
    tab.source.sends('snapshot', document('f-1'), 'f-1')
    expect([live.document.value?.version, live.link.value.state]).toEqual(['f-1', 'open'])
  })

  it('is not open if the first event is bye', () => {
    const { tab, live } = started()
    tab.source.breaks()
    tab.source.sends('bye', { reason: 'the daemon is stopping' })
    expect(live.link.value.state).toBe('reconnecting')
  })

  it.each([
    ['after the browser has reconnected by itself', (tab: Tab) => tab.source.breaks()],
    ['after it was reopened', (tab: Tab) => (tab.source.fails(), tab.world.pass(500))],
  ])('is open only with the first event, as a proxy may buffer it (%s)', (_, cut) => {
    const { tab, live } = started()
    cut(tab)
    tab.source.opens()
    tab.world.pass(12_000)
    expect(live.link.value.state).toBe('reconnecting')
    beat(tab, 0)
    expect(live.link.value).toEqual({ state: 'open', since: tab.now(), retryAt: null })
  })

  it('starts the silence limit again once it has opened', () => {
    const tab = new Tab()
    use(tab)
    tab.world.pass(34_000)
    tab.source.opens()
    tab.world.pass(34_999)
    expect(tab.source.readyState).toBe(1)
    tab.world.pass(1)
    expect(tab.source.readyState).toBe(2)
  })

  it('doubles the wait after each failure up to half a minute and starts over after a success', () => {
    const { tab } = started()
    const waits: number[] = []
    const fail = () => {
      const before = tab.now()
      const opened = tab.sources.length
      tab.source.fails()
      while (tab.sources.length === opened) tab.world.pass(100)
      waits.push(tab.now() - before)
    }
    for (let failure = 0; failure < 7; failure++) fail()
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000])
    tab.source.opens()
    fail()
    expect(waits.at(-1)).toBe(15_000)
    beat(tab, 0)
    fail()
    expect(waits.at(-1)).toBe(500)
  })

  it('counts as dead after three heartbeats of silence', () => {
    const { tab, live } = started()
    beat(tab, 10)
    beat(tab, 10)
    const heardAt = tab.now()
    tab.world.pass(29_999)
    expect(live.link.value.state).toBe('open')
    tab.world.pass(1)
    expect(live.link.value).toMatchObject({ state: 'reconnecting', since: heardAt })
    tab.world.pass(500)
    expect(tab.sources).toHaveLength(2)
  })

  it.each([0.5, 10, 30])('stays open with only heartbeats, every %d s', (seconds) => {
    const { tab, live } = started()
    for (let count = 0; count < 10; count++) beat(tab, seconds)
    expect(live.link.value.state).toBe('open')
    expect(tab.sources).toHaveLength(1)
  })

  it('is reopened until a slow heartbeat interval is known', () => {
    const { tab } = started()
    const opened: number[] = []
    for (let minute = 0; minute < 30; minute++) {
      for (let second = 0; second < 60; second++) {
        tab.world.pass(1000)
        if (tab.source.readyState === 0) tab.source.opens()
      }
      tab.source.sends('heartbeat', { asOf: new Date(tab.now()).toISOString() })
      opened.push(tab.sources.length)
    }
    expect(opened.at(-1)).toBe(2)
  })

  it('has the default silence limit to reconnect, however short its heartbeats were', () => {
    const { tab } = started()
    for (let count = 0; count < 3; count++) beat(tab, 0.5)
    tab.source.breaks()
    tab.world.pass(34_999)
    expect(tab.sources).toHaveLength(1)
    tab.world.pass(501)
    expect(tab.sources).toHaveLength(2)
  })

  it('has that limit after it was reopened too', () => {
    const { tab } = started()
    for (let count = 0; count < 3; count++) beat(tab, 0.5)
    tab.source.fails()
    tab.world.pass(500)
    expect(tab.sources).toHaveLength(2)
    tab.world.pass(34_999)
    expect(tab.sources).toHaveLength(2)
  })

  it('is given up if it hangs before it has opened', () => {
    const tab = new Tab()
    const { live } = use(tab)
    tab.world.pass(35_000)
    expect(live.link.value.state).toBe('reconnecting')
    tab.world.pass(500)
    expect(tab.sources).toHaveLength(2)
  })

  it('begins with a snapshot again after invalid JSON', () => {
    const { tab, live } = started()
    tab.source.sends('delta', undefined, 'e-2')
    expect(live.link.value.state).toBe('reconnecting')
    tab.world.pass(500)
    expect(tab.source.url).toBe(STREAM_URL)
  })

  it('is reconnecting from the daemon\'s bye on', () => {
    const { tab, live } = started()
    tab.source.sends('bye', { reason: 'shutdown' })
    expect(live.link.value.state).toBe('reconnecting')
    expect(live.condors.value.size).toBe(1)
  })
})

describe('with tickets', () => {
  /** A ticket function that gives `answers`, then T1, T2 and so on. */
  function ticketSource() {
    let count = 0
    const answers: (() => Promise<string>)[] = []
    const ticket = vi.fn((_signal: AbortSignal) => (answers.shift() ?? (async () => `T${++count}`))())
    return { ticket, answers }
  }
  const refused = () => Promise.reject(Object.assign(new Error('401'), { status: 401 }))
  const urls = (tab: Tab) => tab.sources.map(({ url }) => url.replace(STREAM_URL, ''))

  /** A tab that has received its snapshot with its first ticket. */
  async function admitted() {
    const tab = new Tab()
    const { ticket, answers } = ticketSource()
    const { live, leave } = use(tab, { ticket })
    await settled()
    tab.source.sends('snapshot', document('e-1'), 'e-1')
    tab.paint()
    return { tab, live, leave, ticket, answers }
  }
  const pass = async (tab: Tab, ms: number) => (tab.world.pass(ms), settled())

  it('is opened with one', async () => {
    const { tab, live } = await admitted()
    expect(urls(tab)).toEqual(['?ticket=T1'])
    expect(live.link.value.state).toBe('open')
  })

  it('is closed at the first error and resumed with a new ticket instead of by the browser', async () => {
    const { tab, live } = await admitted()
    tab.source.breaks()
    expect(tab.source.readyState).toBe(2)
    expect(live.link.value).toMatchObject({ state: 'reconnecting', retryAt: tab.now() + 2000 })
    await pass(tab, 1999)
    expect(urls(tab)).toEqual(['?ticket=T1'])
    await pass(tab, 1)
    expect(urls(tab)).toEqual(['?ticket=T1', '?ticket=T2&lastEventId=e-1'])
    beat(tab, 0)
    expect(live.link.value.state).toBe('open')
    expect(live.condors.value.size).toBe(1)
  })

  it.each([
    ['that is refused', (tab: Tab) => tab.source.fails()],
    ['that is silent', (tab: Tab) => tab.world.pass(35_000)],
    ['that sends invalid JSON', (tab: Tab) => tab.source.sends('delta', undefined)],
  ])('sends no ticket twice after a stream %s', async (_, ends) => {
    const { tab } = await admitted()
    ends(tab)
    await pass(tab, 2000)
    expect(urls(tab).map((url) => new URLSearchParams(url).get('ticket'))).toEqual(['T1', 'T2'])
  })

  it('waits at least the daemon\'s retry and doubles it after each failure', async () => {
    const { tab } = await admitted()
    const waits: number[] = []
    for (let failure = 0; failure < 8; failure++) {
      const opened = tab.sources.length
      const before = tab.now()
      tab.source.fails()
      while (tab.sources.length === opened) await pass(tab, 500)
      waits.push(tab.now() - before)
    }
    expect(waits).toEqual([2000, 2000, 2000, 4000, 8000, 15_000, 15_000, 15_000])
  })

  it('jitters the waits of clients that reconnect together', async () => {
    const { tab, live } = await admitted()
    tab.random = () => 0.5
    tab.source.breaks()
    expect(live.link.value.retryAt).toBe(tab.now() + 2500)
  })

  it('retries a failed ticket request with backoff', async () => {
    const { tab, live, ticket, answers } = await admitted()
    answers.push(...Array.from({ length: 4 }, () => () => Promise.reject(new TypeError('no network'))))
    tab.source.breaks()
    await pass(tab, 2000)
    expect(live.link.value).toMatchObject({ state: 'reconnecting', retryAt: tab.now() + 2000 })
    await pass(tab, 2000)
    await pass(tab, 4000)
    await pass(tab, 8000)
    expect(ticket).toHaveBeenCalledTimes(5)
    await pass(tab, 15_000)
    expect(urls(tab)).toEqual(['?ticket=T1', '?ticket=T2&lastEventId=e-1'])
  })

  it('retries if the ticket function throws synchronously', async () => {
    const tab = new Tab()
    const ticket = vi.fn((): Promise<string> => {
      throw new Error('a bug')
    })
    const { live } = use(tab, { ticket })
    await settled()
    expect(live.link.value).toMatchObject({ state: 'reconnecting', retryAt: tab.now() + 2000 })
    await pass(tab, 2000)
    expect(ticket).toHaveBeenCalledTimes(2)
  })

  it('retries a ticket request that hangs and ignores its late ticket', async () => {
    const { tab, live, ticket, answers } = await admitted()
    let comes = (_: string) => {}
    answers.push(() => new Promise((resolve) => (comes = resolve)))
    tab.source.breaks()
    await pass(tab, 2000)
    const [signal] = ticket.mock.calls[1]!
    await pass(tab, 9999)
    expect(signal.aborted).toBe(false)
    await pass(tab, 1)
    expect([signal.aborted, live.link.value.state]).toEqual([true, 'reconnecting'])
    comes('late')
    await settled()
    expect(urls(tab)).toEqual(['?ticket=T1'])
    await pass(tab, 2000)
    expect(urls(tab)).toEqual(['?ticket=T1', '?ticket=T2&lastEventId=e-1'])
  })

  it('is refused with a wrong token, retries twice a minute and recovers', async () => {
    const tab = new Tab()
    const { ticket, answers } = ticketSource()
    answers.push(refused, refused)
    const { live } = use(tab, { ticket })
    await settled()
    expect(live.link.value).toMatchObject({ state: 'refused', retryAt: tab.now() + 30_000 })
    expect(tab.sources).toEqual([])
    await pass(tab, 30_000)
    expect(live.link.value.state).toBe('refused')
    await pass(tab, 30_000)
    tab.source.sends('snapshot', document('e-1'), 'e-1')
    expect(live.link.value.state).toBe('open')
    expect(ticket).toHaveBeenCalledTimes(3)
  })

  it('is closed with its last user, even while it waits for a ticket', async () => {
    const tab = new Tab()
    let comes = (_: string) => {}
    const ticket = vi.fn((_signal: AbortSignal) => new Promise<string>((resolve) => (comes = resolve)))
    const { leave } = use(tab, { ticket })
    leave()
    comes('late')
    await settled()
    expect([ticket.mock.calls[0]![0].aborted, tab.sources.length, tab.world.pending]).toEqual([true, 0, 0])
  })

  it('is separate from a stream without tickets', async () => {
    const tab = new Tab()
    use(tab)
    use(tab, { ticket: ticketSource().ticket })
    await settled()
    expect(urls(tab)).toEqual(['', '?ticket=T1'])
  })
})

describe('shared across tabs', () => {
  const share = { share: true }

  it('ten tabs have one stream and the same document', () => {
    const world = new World()
    const tabs = Array.from({ length: 10 }, () => new Tab(world))
    const lives = tabs.map((tab) => useInTab(tab))
    tabs[0]!.source.opens()
    tabs[0]!.source.sends('snapshot', document('e-1'), 'e-1')
    tabs[0]!.source.sends('delta', tick(9), 'e-2')
    for (const tab of tabs) tab.paint()
    expect(tabs.map((tab) => tab.sources.length)).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    for (const { live } of lives) {
      expect(live.document.value).toEqual(lives[0]!.live.document.value)
      expect(live.condors.value.get(condor().id)?.valuation.mark).toBe(9)
      expect(live.link.value.state).toBe('open')
    }
  })

  it('tabs name their stream without its token, as the whole origin can read it', () => {
    const tab = new Tab()
    const names: string[] = []
    const channel = tab.channel
    tab.channel = (name) => (names.push(name), channel(name))
    use(tab, share, () => `${STREAM_URL}?access_token=secret&only=SPY`)
    expect(names).toEqual([`condord ${STREAM_URL}?only=SPY`])
    expect(tab.source.url).toContain('access_token=secret')
  })

  it('a tab that is alone soon stops sending deltas, and sends them again once another joins', () => {
    const world = new World()
    const [first, second] = [new Tab(world), new Tab(world)]
    useInTab(first)
    first.source.opens()
    first.source.sends('snapshot', document('e-1'), 'e-1')
    world.pass(2000)
    const heard: string[] = []
    const silent = world.channel(`condord ${STREAM_URL}`)
    silent.onmessage = ({ data }) => heard.push(data.kind === 'event' ? data.event.event : data.kind)
    first.source.sends('delta', tick(1), 'e-2')
    first.source.sends('heartbeat', { asOf: AS_OF })
    expect(heard).toEqual(['heartbeat'])
    const { live } = useInTab(second)
    first.source.sends('delta', tick(2), 'e-3')
    second.paint()
    expect(live.document.value?.version).toBe('e-3')
    expect(heard.at(-1)).toBe('delta')
  })

  it('a tab that joins later gets the leader\'s document', () => {
    const world = new World()
    const [first, second] = [new Tab(world), new Tab(world)]
    useInTab(first)
    first.source.opens()
    first.source.sends('snapshot', document('e-1'), 'e-1')
    const { live } = useInTab(second)
    second.paint()
    expect(live.document.value?.version).toBe('e-1')
    expect(live.link.value.state).toBe('open')
  })

  it('the next tab leads when the leader is closed and resumes after its version', () => {
    const world = new World()
    const [first, second] = [new Tab(world), new Tab(world)]
    const leader = useInTab(first)
    const { live } = useInTab(second)
    first.source.opens()
    first.source.sends('snapshot', document('e-1'), 'e-1')
    leader.leave()
    return settled().then(() => {
      expect(first.source.readyState).toBe(2)
      expect(second.source.url).toBe(`${STREAM_URL}?lastEventId=e-1`)
      second.source.opens()
      second.source.sends('delta', tick(4), 'e-2')
      second.paint()
      expect(live.condors.value.get(condor().id)?.valuation.mark).toBe(4)
    })
  })

  it('a tab that asked a closing leader gets the next leader\'s document', () => {
    const world = new World()
    const [first, second, late] = [new Tab(world), new Tab(world), new Tab(world)]
    const leader = useInTab(first)
    useInTab(second)
    first.source.opens()
    first.source.sends('snapshot', document('e-1'), 'e-1')
    cutOff(first)
    const { live } = useInTab(late)
    late.paint()
    expect(live.document.value).toBeNull()
    leader.leave()
    return settled().then(() => {
      late.paint()
      expect(live.document.value?.version).toBe('e-1')
    })
  })

  it('a tab without a document asks again at a delta, at most once per heartbeat', () => {
    const world = new World()
    const [first, late] = [new Tab(world), new Tab(world)]
    useInTab(first)
    const receive = cutOff(first)
    first.source.sends('snapshot', document('e-1'), 'e-1')
    const hellos: unknown[] = []
    const listening = world.channel(`condord ${STREAM_URL}`)
    listening.onmessage = ({ data }) => (data as { kind: string }).kind === 'hello' && hellos.push(data)
    const { live } = useInTab(late)
    for (const mark of [1, 2, 3]) first.source.sends('delta', tick(mark), `e-${mark + 1}`)
    expect(hellos).toHaveLength(2)
    receive()
    beat(first, 10)
    late.paint()
    expect(hellos).toHaveLength(3)
    expect(live.document.value?.version).toBe('e-4')
    first.source.sends('delta', tick(5), 'e-5')
    beat(first, 10)
    late.paint()
    expect(live.condors.value.get(condor().id)?.valuation.mark).toBe(5)
    expect(hellos).toHaveLength(3)
  })

  it('a leader without a document adopts none from other tabs', () => {
    const world = new World()
    const [first, second, third] = [new Tab(world), new Tab(world), new Tab(world)]
    const leader = useInTab(first)
    useInTab(second)
    cutOff(second)
    const { live } = useInTab(third)
    first.source.sends('snapshot', document('e-1'), 'e-1')
    third.paint()
    leader.leave()
    return settled().then(() => {
      third.paint()
      expect(second.source.url).toBe(STREAM_URL)
      expect([live.document.value?.version, live.link.value.state]).toEqual(['e-1', 'open'])
    })
  })

  it('a leader answers with its last link state', () => {
    const world = new World()
    const [first, second, late] = [new Tab(world), new Tab(world), new Tab(world)]
    const leader = useInTab(first)
    useInTab(second)
    first.source.sends('snapshot', document('e-1'), 'e-1')
    first.source.fails()
    leader.leave()
    return settled().then(() => {
      const { live } = useInTab(late)
      expect(live.link.value).toMatchObject({ state: 'reconnecting', retryAt: late.now() + 500 })
    })
  })

  it.each([
    ['by itself', (tab: Tab) => tab.source.breaks()],
    ['reopened', (tab: Tab) => (tab.source.fails(), tab.world.pass(500))],
  ])('a tab that joins after a reconnection (%s) sees an open link', (_, cut) => {
    const world = new World()
    const [first, late] = [new Tab(world), new Tab(world)]
    useInTab(first)
    first.source.sends('snapshot', document('e-1'), 'e-1')
    cut(first)
    beat(first, 0)
    expect(useInTab(late).live.link.value.state).toBe('open')
  })

  it('the next leader has the default silence limit to connect', () => {
    const world = new World()
    const [first, second] = [new Tab(world), new Tab(world)]
    const leader = useInTab(first)
    useInTab(second)
    first.source.opens()
    for (let count = 0; count < 3; count++) beat(first, 0.5)
    leader.leave()
    return settled().then(() => {
      world.pass(34_999)
      expect(second.sources).toHaveLength(1)
    })
  })

  it('the leader fetches the tickets and a refusal reaches all tabs', async () => {
    const world = new World()
    const tabs = Array.from({ length: 3 }, () => new Tab(world))
    const answers = [() => Promise.reject(Object.assign(new Error('401'), { status: 401 })), async () => 'T1']
    const ticket = vi.fn(() => answers.shift()!())
    const lives = tabs.map((tab) => useInTab(tab, ticket).live)
    await settled()
    expect(lives.map(({ link }) => link.value.state)).toEqual(['refused', 'refused', 'refused'])
    world.pass(30_000)
    await settled()
    tabs[0]!.source.sends('snapshot', document('e-1'), 'e-1')
    expect(lives.map(({ link }) => link.value.state)).toEqual(['open', 'open', 'open'])
    expect(tabs.map((tab) => tab.sources.map(({ url }) => url))).toEqual([[`${STREAM_URL}?ticket=T1`], [], []])
    expect(ticket).toHaveBeenCalledTimes(2)
  })

  describe('when the browser freezes the leader', () => {
    /** Tabs of which the first leads and has its snapshot; heartbeats are ten seconds apart. */
    function crowd(count: number) {
      const world = new World()
      const tabs = Array.from({ length: count }, () => new Tab(world))
      const lives = tabs.map((tab) => useInTab(tab).live)
      tabs[0]!.source.sends('snapshot', document('e-1'), 'e-1')
      beat(tabs[0]!, 10)
      beat(tabs[0]!, 10)
      return { world, tabs, lives }
    }
    const open = (tabs: Tab[]) => tabs.map((tab) => tab.sources.filter(({ readyState }) => readyState !== 2).length)
    const states = (lives: LiveConnection[]) => lives.map(({ link }) => link.value.state)

    it('another tab takes over after three heartbeats and resumes for all', async () => {
      const { world, tabs, lives } = crowd(10)
      tabs[0]!.stops()
      world.pass(29_999)
      expect(states(lives)).toEqual(Array(10).fill('open'))
      world.pass(1)
      expect(states(lives.slice(1))).toEqual(Array(9).fill('reconnecting'))
      world.pass(2000)
      await settled()
      expect(open(tabs)).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
      expect(tabs[1]!.source.url).toBe(`${STREAM_URL}?lastEventId=e-1`)
      tabs[1]!.source.sends('delta', tick(7), 'e-2')
      for (const tab of tabs) tab.paint()
      expect(states(lives.slice(1))).toEqual(Array(9).fill('open'))
      expect(lives.slice(1).map((live) => live.document.value?.version)).toEqual(Array(9).fill('e-2'))
    })

    it('the frozen tab steps down when it wakes and its messages are ignored', async () => {
      const { world, tabs, lives } = crowd(3)
      tabs[0]!.stops()
      world.pass(32_000)
      await settled()
      tabs[1]!.source.sends('delta', tick(7), 'e-2')
      tabs[0]!.source.sends('delta', tick(1), 'old')
      for (const tab of tabs) tab.paint()
      expect(lives[2]!.document.value?.version).toBe('e-2')
      tabs[0]!.wakes()
      await settled()
      for (const tab of tabs) tab.paint()
      expect(open(tabs)).toEqual([0, 1, 0])
      expect(lives.map((live) => live.document.value?.version)).toEqual(['e-2', 'e-2', 'e-2'])
      expect(states(lives)).toEqual(['open', 'open', 'open'])
    })

    it('the frozen tab can lead again later', async () => {
      const { world, tabs, lives } = crowd(2)
      tabs[0]!.stops()
      world.pass(32_000)
      await settled()
      tabs[1]!.source.sends('delta', tick(7), 'e-2')
      tabs[0]!.wakes()
      await settled()
      leaves[leaves.length - 1]!()
      await settled()
      expect(tabs[0]!.source.url).toBe(`${STREAM_URL}?lastEventId=e-2`)
      tabs[0]!.source.sends('delta', tick(8), 'e-3')
      tabs[0]!.paint()
      expect([lives[0]!.document.value?.version, ...states(lives.slice(0, 1))]).toEqual(['e-3', 'open'])
    })

    it('of several tabs that take over at once the last one leads', async () => {
      const { world, tabs, lives } = crowd(5)
      tabs[0]!.stops()
      const restored = tabs.slice(1).map(cutOff)
      world.pass(32_000)
      for (const receive of restored) receive()
      await settled()
      expect(open(tabs)).toEqual([1, 0, 0, 0, 1])
      tabs[4]!.source.sends('delta', tick(7), 'e-2')
      beat(tabs[4]!, 1)
      for (const tab of tabs) tab.paint()
      expect(lives.slice(1).map((live) => live.document.value?.version)).toEqual(Array(4).fill('e-2'))
      expect(states(lives.slice(1))).toEqual(Array(4).fill('open'))
    })

    it('a visible tab takes over before hidden ones', async () => {
      const { world, tabs } = crowd(4)
      for (const tab of tabs.slice(0, 3)) tab.isHidden = true
      tabs[0]!.stops()
      world.pass(33_000)
      await settled()
      expect(open(tabs)).toEqual([1, 0, 0, 1])
    })

    it('hidden tabs take over if there is no visible one', async () => {
      const { world, tabs } = crowd(2)
      tabs[1]!.isHidden = true
      tabs[0]!.stops()
      world.pass(34_000)
      await settled()
      expect(open(tabs)).toEqual([1, 1])
    })

    it('a tab that was frozen itself keeps the leader and gets the missed events', async () => {
      const { world, tabs, lives } = crowd(2)
      tabs[1]!.stops()
      for (let count = 0; count < 6; count++) beat(tabs[0]!, 10)
      tabs[0]!.source.sends('delta', tick(7), 'e-2')
      tabs[1]!.wakes()
      for (const tab of tabs) tab.paint()
      world.pass(5000)
      await settled()
      expect(open(tabs)).toEqual([1, 0])
      expect([lives[1]!.document.value?.version, lives[1]!.link.value.state]).toEqual(['e-2', 'open'])
    })

    it('a leader that waits for a silent daemon is not replaced', async () => {
      const world = new World()
      const tabs = [new Tab(world), new Tab(world)]
      for (const tab of tabs) useInTab(tab)
      for (let second = 0; second < 600; second++) world.pass(1000)
      await settled()
      expect(tabs[0]!.sources.length).toBeGreaterThan(1)
      expect(tabs[1]!.sources).toEqual([])
    })

    it('a tab that is closed during a takeover leaves the lock to others', async () => {
      const { world, tabs } = crowd(2)
      tabs[0]!.stops()
      world.pass(30_000)
      leaves[leaves.length - 1]!()
      world.pass(5000)
      await settled()
      expect(open(tabs)).toEqual([1, 0])
      const late = new Tab(world)
      useInTab(late)
      world.pass(40_000)
      await settled()
      expect(open([late])).toEqual([1])
    })
  })

  it('a tab has its own stream if locks are refused, as for an opaque origin', async () => {
    const tab = new Tab()
    tab.locks = { request: () => Promise.reject(new DOMException('opaque origin', 'SecurityError')) }
    const { live } = useInTab(tab)
    await settled()
    tab.source.sends('snapshot', document('e-1'), 'e-1')
    expect(live.link.value.state).toBe('open')
  })

  it('a tab is reconnecting when its leader goes silent', () => {
    const world = new World()
    const [first, second] = [new Tab(world), new Tab(world)]
    useInTab(first)
    const { live } = useInTab(second)
    first.source.opens()
    first.source.sends('snapshot', document('e-1'), 'e-1')
    world.pass(34_999)
    expect(live.link.value.state).toBe('open')
    first.stops()
    world.pass(1)
    expect(live.link.value.state).toBe('reconnecting')
  })

  it('a tab has the error of its leader', async () => {
    const world = new World()
    const [first, second] = [new Tab(world), new Tab(world)]
    useInTab(first)
    const { live } = useInTab(second)
    first.answers.push(() => new Response('{}', { status: 401 }))
    first.source.fails()
    await settled()
    expect([live.error.value?.code, live.link.value.state]).toEqual(['token', 'refused'])
    live.open()
    expect([first.sources.length, second.sources.length]).toEqual([1, 0])
  })

  it('all tabs adopt the leader\'s silence limit, tabs that join later too', () => {
    const world = new World()
    const [first, early, late] = [new Tab(world), new Tab(world), new Tab(world)]
    useInTab(first)
    const follower = useInTab(early).live
    first.source.opens()
    first.source.sends('snapshot', document('e-1'), 'e-1')
    for (let count = 0; count < 5; count++) beat(first, 30)
    const newcomer = useInTab(late).live
    first.stops()
    world.pass(89_999)
    expect([follower.link.value.state, newcomer.link.value.state]).toEqual(['open', 'open'])
    world.pass(1)
    expect([follower.link.value.state, newcomer.link.value.state]).toEqual(['reconnecting', 'reconnecting'])
  })

  it('a tab follows a leader of an older page, which sends less', () => {
    const world = new World()
    const [old, tab] = [new Tab(world), new Tab(world)]
    void world.locks.request(`condord ${STREAM_URL}`, { signal: new AbortController().signal }, () => new Promise(() => {}))
    const { live } = useInTab(tab)
    old.channel(`condord ${STREAM_URL}`).postMessage({ kind: 'link', state: 'open', retryAt: null })
    world.pass(34_999)
    expect(live.link.value.state).toBe('open')
    world.pass(1)
    expect(live.link.value.state).toBe('reconnecting')
  })

  it('each tab has its own stream in a browser without locks', () => {
    const world = new World()
    const tabs = [new Tab(world), new Tab(world)]
    for (const tab of tabs) {
      tab.locks = undefined
      useInTab(tab)
    }
    expect(tabs.map((tab) => tab.sources.length)).toEqual([1, 1])
  })

  let tabs = 0
  const leaves: (() => void)[] = []

  /** Cuts the tab off its channel until the returned function is called. */
  function cutOff(tab: Tab): () => void {
    const [channel] = tab.joined
    const receive = channel!.onmessage
    channel!.onmessage = null
    return () => (channel!.onmessage = receive)
  }

  /** Does what `use` does in a new page, which shares no module state with this one. */
  function useInTab(tab: Tab, ticket?: Ticket) {
    const id = tabs++
    const named = tab.channel
    tab.channel = (name) => named(name.replace(/#\d+/, ''))
    const locks = tab.locks
    if (locks) tab.locks = { request: (name, ...rest) => locks.request(name.replace(/#\d+/, ''), ...rest) }
    const open = tab.open.bind(tab)
    tab.open = (url) => open(url.replace(/#\d+/, ''))
    const used = use(tab, ticket ? { ...share, ticket } : share, () => `${STREAM_URL}#${id}`)
    leaves.push(used.leave)
    return used
  }
})
