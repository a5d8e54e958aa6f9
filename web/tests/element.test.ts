/** The element with attributes and properties, as used in a page without Vue. */
import { nextTick } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ticketsFrom } from '../src/tickets'
import { condor, document as account } from './account'
import { stubEventSource, type FakeSource } from './world'

const [SPY, QQQ] = [condor('SPY'), condor('QQQ')]
let opened: FakeSource[]

beforeEach(async () => {
  vi.useFakeTimers()
  opened = stubEventSource()
  await import('../src/element')
})
afterEach(async () => {
  document.body.replaceChildren()
  await nextTick()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

async function added(attributes: string) {
  document.body.innerHTML = `<iron-condor-card ${attributes}></iron-condor-card>`
  await nextTick()
  return document.querySelector('iron-condor-card')!
}
const article = (element: Element) => element.shadowRoot!.querySelector('article')!
const shown = (element: Element) => article(element).querySelector('h2')?.textContent

async function answer(source: FakeSource) {
  source.opens()
  source.sends('snapshot', account('e-1', [SPY, QQQ]), 'e-1')
  await vi.advanceTimersByTimeAsync(100)
}

describe('the element', () => {
  it('shows a condor, and another one when its attribute changes', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    await answer(opened[0]!)
    expect(shown(element)).toBe('SPY')
    element.setAttribute('condor-id', QQQ.id)
    await nextTick()
    expect(shown(element)).toBe('QQQ')
    expect(opened).toHaveLength(1)
  })

  it('observes its attributes again after it was removed and added, without a stream in between', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    element.remove()
    await vi.advanceTimersByTimeAsync(100)
    expect(opened[0]!.readyState).toBe(2)
    document.body.append(element)
    await answer(opened[1]!)
    element.setAttribute('condor-id', QQQ.id)
    await nextTick()
    expect(shown(element)).toBe('QQQ')
    element.setAttribute('src', '/other/stream')
    await nextTick()
    expect(opened.map((source) => source.readyState)).toEqual([2, 2, 0])
    expect(opened[2]!.url).toContain('/other/stream')
  })

  it('applies what was set while it was removed', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    element.remove()
    await vi.advanceTimersByTimeAsync(100)
    element.condorId = QQQ.id
    document.body.append(element)
    await answer(opened[1]!)
    expect(shown(element)).toBe('QQQ')
  })

  it('keeps its stream when it is only moved', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    document.body.append(document.createElement('main'))
    document.querySelector('main')!.append(element)
    await nextTick()
    expect(opened.map((source) => source.readyState)).toEqual([0])
  })

  it('shares its stream once share is set', async () => {
    const request = vi.fn(() => Promise.resolve())
    vi.stubGlobal('navigator', { locks: { request } })
    vi.stubGlobal('BroadcastChannel', class { postMessage() {} close() {} })
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    expect(request).not.toHaveBeenCalled()
    element.share = true
    await nextTick()
    expect(request).toHaveBeenCalledOnce()
    expect(opened[0]!.readyState).toBe(2)
  })

  it('fetches tickets once ticket is set', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    const ticket = vi.fn(async () => 'T1')
    element.ticket = ticket
    element.ticket = ticket
    await vi.advanceTimersByTimeAsync(0)
    expect(ticket).toHaveBeenCalledOnce()
    expect(opened.map(({ readyState }) => readyState)).toEqual([2, 0])
    expect(opened[1]!.url).toContain('/api/stream?ticket=T1')
    await answer(opened[1]!)
    expect(shown(element)).toBe('SPY')
    element.ticket = async () => 'T2'
    await vi.advanceTimersByTimeAsync(0)
    expect(opened[2]!.url).toContain('/api/stream?ticket=T2')
    expect(element.outerHTML).not.toContain('ticket')
  })

  it('shows a refused token', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    vi.stubGlobal('fetch', async () => new Response('', { status: 401 }))
    element.ticket = ticketsFrom('/api/tickets')
    await vi.advanceTimersByTimeAsync(0)
    expect(article(element).textContent).toContain('the token is missing or wrong')
  })

  it.each([
    ['condor-id="SPY"', 'src is missing. Set it to the address of the stream, such as /api/stream.'],
    ['src="" condor-id="SPY"', 'src is missing. Set it to the address of the stream, such as /api/stream.'],
    ['src="localhost:8420/api/stream" condor-id="SPY"', 'src is not an http or https address: localhost:8420/api/stream'],
    ['src="/api/stream"', 'condor-id is missing. Set it to the id of a condor in /api/positions.'],
  ])('names a missing or invalid attribute and opens no stream: %s', async (attributes, sentence) => {
    const element = await added(attributes)
    expect(article(element).textContent).toBe(sentence)
    expect(opened).toEqual([])
  })

  it('closes its stream when src is removed and opens one with the next', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    element.removeAttribute('src')
    await nextTick()
    expect(article(element).textContent).toContain('src is missing')
    expect(opened[0]!.readyState).toBe(2)
    element.src = '/api/stream'
    await nextTick()
    expect(opened).toHaveLength(2)
  })

  it('adopts properties set before the script was loaded', async () => {
    const element = document.createElement('iron-condor-card')
    const given = { src: '/api/stream', condorId: SPY.id, share: true, ticket: async () => 'T1' }
    for (const [name, value] of Object.entries(given)) Object.defineProperty(element, name, { value, configurable: true })
    document.body.append(element)
    await vi.advanceTimersByTimeAsync(0)
    expect(opened[0]!.url).toContain('?ticket=T1')
    await answer(opened[0]!)
    expect(shown(element)).toBe('SPY')
    expect(element.outerHTML).toContain(`src="/api/stream" condor-id="${SPY.id}" share=""`)
  })

  it('can be defined twice if a page loads the script twice', async () => {
    vi.resetModules()
    await expect(import('../src/element')).resolves.toBeDefined()
  })
})
