import { effectScope, nextTick, ref, watchEffect, type EffectScope } from 'vue'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Live } from '../src/live'
import { useCondorStream, type StreamOptions } from '../src/useCondorStream'
import { AS_OF, condor, document, status, totals, valuation } from './account'
import { chance, Tab, World } from './world'

const URL_OF_IT = 'http://condord.test/api/stream'
const scopes: EffectScope[] = []

function use(tab: Tab, options: StreamOptions = {}, url: () => string = () => URL_OF_IT) {
  const scope = effectScope()
  scopes.push(scope)
  let live!: Live
  scope.run(() => (live = useCondorStream(url, { environment: tab, ...options })))
  return { live, leave: () => scope.stop() }
}

/** A tab that has got its snapshot. */
function started(options: StreamOptions = {}) {
  const tab = new Tab()
  const { live, leave } = use(tab, options)
  tab.source.opens()
  tab.source.says('snapshot', document('e-1'), 'e-1')
  tab.paint()
  return { tab, live, leave }
}

const tick = (mark: number) => ({
  asOf: AS_OF,
  quotes: [],
  valuations: [valuation(condor().id, { mark })],
  unmatched: [],
})

/** Some seconds pass, and a heartbeat comes. */
function beat(tab: Tab, seconds: number) {
  tab.world.pass(seconds * 1000)
  tab.source.says('heartbeat', { asOf: new Date(tab.now()).toISOString() })
}

afterEach(() => {
  for (const scope of scopes.splice(0)) scope.stop()
})

describe('the state', () => {
  it('is empty until the snapshot has come', () => {
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

  it('is shown once a frame, with the last of the values', () => {
    const { tab, live } = started()
    for (const mark of [1, 2, 3]) tab.source.says('delta', tick(mark), `e-${mark + 1}`)
    expect(live.condors.value.get(condor().id)?.valuation.mark).toBe(2.435)
    tab.paint()
    expect(live.condors.value.get(condor().id)?.valuation.mark).toBe(3)
    expect(live.document.value?.version).toBe('e-4')
  })

  it('wakes only who looks at what has changed', async () => {
    const tab = new Tab()
    const { live } = use(tab)
    tab.source.says('snapshot', document('e-1', [condor('SPY'), condor('QQQ')]), 'e-1')
    tab.paint()
    let other = 0
    let keys = 0
    scopes[0]!.run(() => {
      watchEffect(() => (other += live.condors.value.get(condor('QQQ').id)!.quantity), { flush: 'sync' })
      watchEffect(() => (keys += [...live.condors.value.keys()].length), { flush: 'sync' })
    })
    tab.source.says('delta', tick(1), 'e-2')
    tab.paint()
    await nextTick()
    expect([other, keys]).toEqual([2, 2])
  })

  it('has the order of the newest snapshot, and forgets what is gone', () => {
    const { tab, live } = started()
    tab.source.says('snapshot', document('e-2', [condor('IWM'), condor('SPY')]), 'e-2')
    tab.paint()
    expect([...live.condors.value.keys()]).toEqual([condor('IWM').id, condor('SPY').id])
    tab.source.says('snapshot', document('e-3', [condor('IWM')]), 'e-3')
    tab.paint()
    expect([...live.condors.value.keys()]).toEqual([condor('IWM').id])
    expect(live.quotes.value.size).toBe(4)
  })

  it('knows which condors came while one looked on', () => {
    const { tab, live } = started()
    tab.source.says('snapshot', document('e-2', [condor('SPY'), condor('QQQ')]), 'e-2')
    tab.paint()
    expect([...live.arrivals.value.keys()]).toEqual([condor('QQQ').id])
  })

  it.each([1, 2, 3, 4])('is that of the document after any snapshots, ticks and paintings (chance %i)', (seed) => {
    const next = chance(seed)
    const { tab, live } = started()
    const roots = ['SPY', 'QQQ', 'IWM', 'AAPL', 'XYZ']
    for (let step = 2; step < 100; step++) {
      const id = `e-${step}`
      const shuffled = roots.filter(() => next() < 0.6).sort(() => next() - 0.5)
      if (next() < 0.2) tab.source.says('snapshot', document(id, shuffled.map((root) => condor(root))), id)
      else tab.source.says('delta', tick(next()), id)
      if (next() < 0.3) continue
      tab.paint()
      const { condors, quotes } = live.document.value!
      expect([...live.condors.value.values()]).toEqual(condors)
      expect([...live.condors.value.keys()]).toEqual(condors.map((each) => each.id))
      expect([...live.quotes.value.values()]).toEqual(quotes)
    }
  })

  it('tells the time by the clock of the daemon, in whole seconds', () => {
    const { tab, live } = started()
    tab.source.says('heartbeat', { asOf: '2026-11-20T16:00:00.400Z' })
    tab.paint()
    expect(live.now.value).toBe(Date.parse('2026-11-20T16:00:00Z'))
    tab.world.pass(2000)
    expect(live.now.value).toBe(Date.parse('2026-11-20T16:00:02Z'))
  })

  it('takes totals and status when they have changed', () => {
    const { tab, live } = started()
    const changes = { totals: totals({ incomplete: 2 }), status: status({ state: 'stale' }) }
    tab.source.says('delta', { ...tick(1), ...changes }, 'e-2')
    tab.paint()
    expect(live.totals.value?.incomplete).toBe(2)
    expect(live.status.value?.state).toBe('stale')
  })
})

describe('the connection', () => {
  it('is one for all cards of a page, and closed by the last', () => {
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

  it('is another one for another address', () => {
    const tab = new Tab()
    const url = ref(URL_OF_IT)
    const { live } = use(tab, {}, () => url.value)
    tab.source.says('snapshot', document('e-1'), 'e-1')
    tab.paint()
    url.value = 'http://other.test/api/stream'
    expect(tab.sources.map((source) => source.readyState)).toEqual([2, 0])
    expect(live.document.value).toBeNull()
    tab.source.says('snapshot', document('f-1', []), 'f-1')
    tab.paint()
    expect(live.document.value?.version).toBe('f-1')
  })

  it.each(['http://', '', 'localhost:8420/api/stream'])('is refused to what is no address, by its name: "%s"', (url) => {
    const tab = new Tab()
    expect(() => use(tab, {}, () => url)).toThrow(`${JSON.stringify(url)} is no address`)
    expect(tab.sources).toEqual([])
  })

  it('ends where the address becomes one that is none, which is said, and comes back with a good one', () => {
    const tab = new Tab()
    const url = ref(URL_OF_IT)
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const { live } = use(tab, {}, () => url.value)
    tab.source.says('snapshot', document('e-1'), 'e-1')
    tab.paint()
    const refuse = () => (url.value = 'http://')
    expect(refuse).toThrow('"http://" is no address')
    expect(tab.source.readyState).toBe(2)
    expect(live.document.value).toBeNull()
    expect(tab.world.pending).toBe(0)
    url.value = URL_OF_IT
    expect(tab.sources.map((source) => source.readyState)).toEqual([2, 0])
    said.mockRestore()
    warned.mockRestore()
  })

  it('stays where the address is only written otherwise', () => {
    const tab = new Tab()
    const url = ref(URL_OF_IT)
    use(tab, {}, () => url.value)
    url.value = 'http://condord.test/api/./stream'
    expect(tab.sources.map((source) => source.readyState)).toEqual([0])
  })

  it('is left to the browser while that comes back by itself', () => {
    const { tab, live } = started()
    tab.world.pass(1000)
    tab.source.says('delta', tick(1), 'e-2')
    const heardAt = tab.now()
    tab.world.pass(5000)
    tab.source.breaks()
    expect(live.link.value).toEqual({ state: 'reconnecting', since: heardAt, retryAt: null })
    beat(tab, 0)
    expect(live.link.value.state).toBe('open')
    expect(tab.sources).toHaveLength(1)
  })

  it('is opened anew where the browser gives up, and goes on behind the last version', () => {
    const { tab, live } = started()
    tab.source.fails()
    expect(live.link.value.retryAt).toBe(tab.now() + 500)
    tab.world.pass(499)
    expect(tab.sources).toHaveLength(1)
    tab.world.pass(1)
    expect(tab.source.url).toBe(`${URL_OF_IT}?lastEventId=e-1`)
    beat(tab, 0)
    expect(live.link.value.state).toBe('open')
    expect(live.condors.value.size).toBe(1)
  })

  it('is open with the first event and not before, also at first', () => {
    const tab = new Tab()
    const { live } = use(tab)
    tab.source.opens()
    expect(live.link.value.state).toBe('connecting')
    beat(tab, 0)
    expect(live.link.value.state).toBe('open')
  })

  it('is open together with what its first event brings, as old numbers would look live', () => {
    const { tab, live } = started()
    tab.source.breaks()
    tab.source.opens()
    tab.source.says('snapshot', document('f-1'), 'f-1')
    expect([live.document.value?.version, live.link.value.state]).toEqual(['f-1', 'open'])
  })

  it('is not open where the first word is bye', () => {
    const { tab, live } = started()
    tab.source.breaks()
    tab.source.says('bye', { reason: 'the daemon is stopping' })
    expect(live.link.value.state).toBe('reconnecting')
  })

  it.each([
    ['after the browser has come back by itself', (tab: Tab) => tab.source.breaks()],
    ['after it was opened anew', (tab: Tab) => (tab.source.fails(), tab.world.pass(500))],
  ])('is open with the first event and not before, as a proxy may keep what is said (%s)', (_, cut) => {
    const { tab, live } = started()
    cut(tab)
    tab.source.opens()
    tab.world.pass(12_000)
    expect(live.link.value.state).toBe('reconnecting')
    beat(tab, 0)
    expect(live.link.value).toEqual({ state: 'open', since: tab.now(), retryAt: null })
  })

  it('is patient again from when it has opened', () => {
    const tab = new Tab()
    use(tab)
    tab.world.pass(34_000)
    tab.source.opens()
    tab.world.pass(34_999)
    expect(tab.source.readyState).toBe(1)
    tab.world.pass(1)
    expect(tab.source.readyState).toBe(2)
  })

  it('waits twice as long after each failure, up to half a minute, and starts over after a success', () => {
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

  it('is taken for dead after three heartbeats of silence', () => {
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

  it.each([0.5, 10, 30])('lives on heartbeats alone, each %d s', (seconds) => {
    const { tab, live } = started()
    for (let count = 0; count < 10; count++) beat(tab, seconds)
    expect(live.link.value.state).toBe('open')
    expect(tab.sources).toHaveLength(1)
  })

  it('is opened anew once and again by a daemon whose heartbeats are rare, until they are known', () => {
    const { tab } = started()
    const opened: number[] = []
    for (let minute = 0; minute < 30; minute++) {
      for (let second = 0; second < 60; second++) {
        tab.world.pass(1000)
        if (tab.source.readyState === 0) tab.source.opens()
      }
      tab.source.says('heartbeat', { asOf: new Date(tab.now()).toISOString() })
      opened.push(tab.sources.length)
    }
    expect(opened.at(-1)).toBe(2)
  })

  it('has time enough to come back, however short its heartbeats were', () => {
    const { tab } = started()
    for (let count = 0; count < 3; count++) beat(tab, 0.5)
    tab.source.breaks()
    tab.world.pass(34_999)
    expect(tab.sources).toHaveLength(1)
    tab.world.pass(501)
    expect(tab.sources).toHaveLength(2)
  })

  it('has that time also where it had to be opened anew', () => {
    const { tab } = started()
    for (let count = 0; count < 3; count++) beat(tab, 0.5)
    tab.source.fails()
    tab.world.pass(500)
    expect(tab.sources).toHaveLength(2)
    tab.world.pass(34_999)
    expect(tab.sources).toHaveLength(2)
  })

  it('is given up where it hangs before it has opened', () => {
    const tab = new Tab()
    const { live } = use(tab)
    tab.world.pass(35_000)
    expect(live.link.value.state).toBe('reconnecting')
    tab.world.pass(500)
    expect(tab.sources).toHaveLength(2)
  })

  it('begins with a snapshot again after something that is no JSON', () => {
    const { tab, live } = started()
    tab.source.says('delta', undefined, 'e-2')
    expect(live.link.value.state).toBe('reconnecting')
    tab.world.pass(500)
    expect(tab.source.url).toBe(URL_OF_IT)
  })

  it('is cut from the daemon\'s bye on', () => {
    const { tab, live } = started()
    tab.source.says('bye', { reason: 'shutdown' })
    expect(live.link.value.state).toBe('reconnecting')
    expect(live.condors.value.size).toBe(1)
  })
})

describe('shared across tabs', () => {
  const share = { share: true }

  it('ten tabs have one stream and the same document', () => {
    const world = new World()
    const tabs = Array.from({ length: 10 }, () => new Tab(world))
    const lives = tabs.map((tab) => alone(tab))
    tabs[0]!.source.opens()
    tabs[0]!.source.says('snapshot', document('e-1'), 'e-1')
    tabs[0]!.source.says('delta', tick(9), 'e-2')
    for (const tab of tabs) tab.paint()
    expect(tabs.map((tab) => tab.sources.length)).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    for (const { live } of lives) {
      expect(live.document.value).toEqual(lives[0]!.live.document.value)
      expect(live.condors.value.get(condor().id)?.valuation.mark).toBe(9)
      expect(live.link.value.state).toBe('open')
    }
  })

  it('name their stream without its token, which others of the origin could read', () => {
    const tab = new Tab()
    const names: string[] = []
    const channel = tab.channel
    tab.channel = (name) => (names.push(name), channel(name))
    use(tab, share, () => `${URL_OF_IT}?access_token=secret&only=SPY`)
    expect(names).toEqual([`condord ${URL_OF_IT}?only=SPY`])
    expect(tab.source.url).toContain('access_token=secret')
  })

  it('a tab that comes later is given what the leader has', () => {
    const world = new World()
    const [first, second] = [new Tab(world), new Tab(world)]
    alone(first)
    first.source.opens()
    first.source.says('snapshot', document('e-1'), 'e-1')
    const { live } = alone(second)
    second.paint()
    expect(live.document.value?.version).toBe('e-1')
    expect(live.link.value.state).toBe('open')
  })

  it('the next tab leads when the leader goes, and goes on behind its version', () => {
    const world = new World()
    const [first, second] = [new Tab(world), new Tab(world)]
    const leader = alone(first)
    const { live } = alone(second)
    first.source.opens()
    first.source.says('snapshot', document('e-1'), 'e-1')
    leader.leave()
    return Promise.resolve().then(() => {
      expect(first.source.readyState).toBe(2)
      expect(second.source.url).toBe(`${URL_OF_IT}?lastEventId=e-1`)
      second.source.opens()
      second.source.says('delta', tick(4), 'e-2')
      second.paint()
      expect(live.condors.value.get(condor().id)?.valuation.mark).toBe(4)
    })
  })

  it('a tab that asked a leader that was leaving is given what the next one has', () => {
    const world = new World()
    const [first, second, late] = [new Tab(world), new Tab(world), new Tab(world)]
    const leader = alone(first)
    alone(second)
    first.source.opens()
    first.source.says('snapshot', document('e-1'), 'e-1')
    deaf(first)
    const { live } = alone(late)
    late.paint()
    expect(live.document.value).toBeNull()
    leader.leave()
    return Promise.resolve().then(() => {
      late.paint()
      expect(live.document.value?.version).toBe('e-1')
    })
  })

  it('a tab without a document asks again when it hears a change, and no more than once a heartbeat', () => {
    const world = new World()
    const [first, late] = [new Tab(world), new Tab(world)]
    alone(first)
    const hear = deaf(first)
    first.source.says('snapshot', document('e-1'), 'e-1')
    const hellos: unknown[] = []
    const listening = world.channel(`condord ${URL_OF_IT}`)
    listening.onmessage = ({ data }) => (data as { kind: string }).kind === 'hello' && hellos.push(data)
    const { live } = alone(late)
    for (const mark of [1, 2, 3]) first.source.says('delta', tick(mark), `e-${mark + 1}`)
    expect(hellos).toHaveLength(2)
    hear()
    beat(first, 10)
    late.paint()
    expect(hellos).toHaveLength(3)
    expect(live.document.value?.version).toBe('e-4')
    first.source.says('delta', tick(5), 'e-5')
    beat(first, 10)
    late.paint()
    expect(live.condors.value.get(condor().id)?.valuation.mark).toBe(5)
    expect(hellos).toHaveLength(3)
  })

  it('a tab that leads and knows nothing takes nothing from the others', () => {
    const world = new World()
    const [first, second, third] = [new Tab(world), new Tab(world), new Tab(world)]
    const leader = alone(first)
    alone(second)
    deaf(second)
    const { live } = alone(third)
    first.source.says('snapshot', document('e-1'), 'e-1')
    third.paint()
    leader.leave()
    return Promise.resolve().then(() => {
      third.paint()
      expect(second.source.url).toBe(URL_OF_IT)
      expect([live.document.value?.version, live.link.value.state]).toEqual(['e-1', 'open'])
    })
  })

  it('a tab that leads tells who asks the link as it was last told', () => {
    const world = new World()
    const [first, second, late] = [new Tab(world), new Tab(world), new Tab(world)]
    const leader = alone(first)
    alone(second)
    first.source.says('snapshot', document('e-1'), 'e-1')
    first.source.fails()
    leader.leave()
    return Promise.resolve().then(() => {
      const { live } = alone(late)
      expect(live.link.value).toMatchObject({ state: 'reconnecting', retryAt: late.now() + 500 })
    })
  })

  it.each([
    ['by itself', (tab: Tab) => tab.source.breaks()],
    ['opened anew', (tab: Tab) => (tab.source.fails(), tab.world.pass(500))],
  ])('a tab that comes after the stream came back (%s) is told that it is open', (_, cut) => {
    const world = new World()
    const [first, late] = [new Tab(world), new Tab(world)]
    alone(first)
    first.source.says('snapshot', document('e-1'), 'e-1')
    cut(first)
    beat(first, 0)
    expect(alone(late).live.link.value.state).toBe('open')
  })

  it('the next tab has time enough to connect, however short the heartbeats were', () => {
    const world = new World()
    const [first, second] = [new Tab(world), new Tab(world)]
    const leader = alone(first)
    alone(second)
    first.source.opens()
    for (let count = 0; count < 3; count++) beat(first, 0.5)
    leader.leave()
    return Promise.resolve().then(() => {
      world.pass(34_999)
      expect(second.sources).toHaveLength(1)
    })
  })

  it('a tab says so when its leader says nothing any more', () => {
    const world = new World()
    const [first, second] = [new Tab(world), new Tab(world)]
    alone(first)
    const { live } = alone(second)
    first.source.opens()
    first.source.says('snapshot', document('e-1'), 'e-1')
    world.pass(34_999)
    expect(live.link.value.state).toBe('open')
    first.stops()
    world.pass(1)
    expect(live.link.value.state).toBe('reconnecting')
  })

  it('all tabs have the patience of their leader, also those that came after it had learned it', () => {
    const world = new World()
    const [first, early, late] = [new Tab(world), new Tab(world), new Tab(world)]
    alone(first)
    const follower = alone(early).live
    first.source.opens()
    first.source.says('snapshot', document('e-1'), 'e-1')
    for (let count = 0; count < 5; count++) beat(first, 30)
    const newcomer = alone(late).live
    first.stops()
    world.pass(89_999)
    expect([follower.link.value.state, newcomer.link.value.state]).toEqual(['open', 'open'])
    world.pass(1)
    expect([follower.link.value.state, newcomer.link.value.state]).toEqual(['reconnecting', 'reconnecting'])
  })

  it('a tab follows a leader of an older page, which tells less', () => {
    const world = new World()
    const [old, tab] = [new Tab(world), new Tab(world)]
    void world.locks.request(`condord ${URL_OF_IT}`, { signal: new AbortController().signal }, () => new Promise(() => {}))
    const { live } = alone(tab)
    old.channel(`condord ${URL_OF_IT}`).postMessage({ kind: 'link', state: 'open', retryAt: null })
    world.pass(34_999)
    expect(live.link.value.state).toBe('open')
    world.pass(1)
    expect(live.link.value.state).toBe('reconnecting')
  })

  it('each tab has its own stream where the browser has no locks', () => {
    const world = new World()
    const tabs = [new Tab(world), new Tab(world)]
    for (const tab of tabs) {
      tab.locks = undefined
      alone(tab)
    }
    expect(tabs.map((tab) => tab.sources.length)).toEqual([1, 1])
  })

  let tabs = 0

  /** From now on the tab hears nothing on its channel, until what is returned is called. */
  function deaf(tab: Tab): () => void {
    const [channel] = tab.joined
    const hear = channel!.onmessage
    channel!.onmessage = null
    return () => (channel!.onmessage = hear)
  }

  /** As `use`, in a page of its own: pages share nothing, also where the tests do. */
  function alone(tab: Tab) {
    const id = tabs++
    const named = tab.channel
    tab.channel = (name) => named(name.replace(/#\d+/, ''))
    const locks = tab.locks
    if (locks) tab.locks = { request: (name, ...rest) => locks.request(name.replace(/#\d+/, ''), ...rest) }
    const open = tab.open.bind(tab)
    tab.open = (url) => open(url.replace(/#\d+/, ''))
    return use(tab, share, () => `${URL_OF_IT}#${id}`)
  }
})
