/** The element, by attributes and properties, as a page without Vue has it. */
import { nextTick } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
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
  source.says('snapshot', account('e-1', [SPY, QQQ]), 'e-1')
  await vi.advanceTimersByTimeAsync(100)
}

describe('the element', () => {
  it('shows a condor, and another where its attribute says so', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    await answer(opened[0]!)
    expect(shown(element)).toBe('SPY')
    element.setAttribute('condor-id', QQQ.id)
    await nextTick()
    expect(shown(element)).toBe('QQQ')
    expect(opened).toHaveLength(1)
  })

  it('hears of its attributes also after it was away for a while, and has no stream meanwhile', async () => {
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

  it('has what was set while it was away', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    element.remove()
    await vi.advanceTimersByTimeAsync(100)
    element.condorId = QQQ.id
    document.body.append(element)
    await answer(opened[1]!)
    expect(shown(element)).toBe('QQQ')
  })

  it('keeps its stream where it is only moved', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    document.body.append(document.createElement('main'))
    document.querySelector('main')!.append(element)
    await nextTick()
    expect(opened.map((source) => source.readyState)).toEqual([0])
  })

  it('shares its stream from when it is told to', async () => {
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

  it.each([
    ['condor-id="SPY"', 'src is missing: the address of the stream, as /api/stream.'],
    ['src="" condor-id="SPY"', 'src is missing: the address of the stream, as /api/stream.'],
    ['src="localhost:8420/api/stream" condor-id="SPY"', 'src is no address of http or https: localhost:8420/api/stream'],
    ['src="/api/stream"', 'condor-id is missing: the id of the condor, as in /api/positions.'],
  ])('says what it lacks, and asks nobody: %s', async (attributes, sentence) => {
    const element = await added(attributes)
    expect(article(element).textContent).toBe(sentence)
    expect(opened).toEqual([])
  })

  it('ends its stream where its address goes, and begins with the next one', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}"`)
    element.removeAttribute('src')
    await nextTick()
    expect(article(element).textContent).toContain('src is missing')
    expect(opened[0]!.readyState).toBe(2)
    element.src = '/api/stream'
    await nextTick()
    expect(opened).toHaveLength(2)
  })

  it('has the properties that it was given before its script was there', async () => {
    const element = document.createElement('iron-condor-card')
    const given = { src: '/api/stream', condorId: SPY.id, share: true }
    for (const [name, value] of Object.entries(given)) Object.defineProperty(element, name, { value, configurable: true })
    document.body.append(element)
    await answer(opened[0]!)
    expect(shown(element)).toBe('SPY')
    expect(element.outerHTML).toContain(`src="/api/stream" condor-id="${SPY.id}" share=""`)
  })

  it('may be defined twice, as where its script stands twice in a page', async () => {
    vi.resetModules()
    await expect(import('../src/element')).resolves.toBeDefined()
  })
})
