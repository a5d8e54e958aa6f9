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

  it('applies properties set while it was removed', async () => {
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

  it('shows why no data arrives', async () => {
    vi.stubGlobal('fetch', async () => new Response('{}', { status: 421 }))
    const element = await added(`src="http://condord.test/api/stream" condor-id="${SPY.id}"`)
    opened[0]!.fails()
    await vi.advanceTimersByTimeAsync(0)
    expect(article(element).textContent).toBe('condord does not serve the name condord.test: add it to its server.allowed_hosts.')
  })

  it('has the looks of the card as attributes and as properties', async () => {
    const element = await added(`src="/api/stream" condor-id="${SPY.id}" density="compact" heading-level="3" locale="de-DE" time-zone="UTC"`)
    const { density, headingLevel, locale, timeZone } = element
    expect({ density, headingLevel, locale, timeZone }).toEqual({ density: 'compact', headingLevel: 3, locale: 'de-DE', timeZone: 'UTC' })
    Object.assign(element, { density: 'comfortable', headingLevel: null, locale: undefined })
    expect(element.getAttributeNames()).toEqual(['src', 'condor-id', 'density', 'time-zone'])
    await answer(opened[0]!)
    expect(article(element).getAttribute('part')).toBe('card')
  })

  it('passes on the events of the card', async () => {
    vi.doMock('../src/IronCondorCard.vue', async () => {
      const { defineComponent, h } = await import('vue')
      const props = ['live', 'id', 'density', 'headingLevel', 'locale', 'timeZone']
      return {
        default: defineComponent({
          props,
          emits: ['copy', 'acknowledge'],
          setup: (given, { emit }) => () =>
            h('article', { onClick: () => (emit('copy', 'an order'), emit('acknowledge', 'an alert')) }, JSON.stringify({ ...given, live: 0 })),
        }),
      }
    })
    vi.resetModules()
    const { IronCondorCardElement } = await import('../src/element')
    vi.doUnmock('../src/IronCondorCard.vue')
    customElements.define('iron-condor-card-2', class extends IronCondorCardElement {})
    document.body.innerHTML = `<iron-condor-card-2 src="/api/stream" condor-id="x" heading-level="3" time-zone="UTC"></iron-condor-card-2>`
    const element = document.querySelector('iron-condor-card-2')!
    await answer(opened[0]!)
    expect(JSON.parse(article(element).textContent)).toEqual({ live: 0, id: 'x', headingLevel: 3, timeZone: 'UTC' })
    const heard: unknown[] = []
    for (const name of ['condor-copy', 'condor-acknowledge']) document.body.addEventListener(name, (event) => heard.push([name, (event as CustomEvent).detail]))
    article(element).click()
    expect(heard).toEqual([['condor-copy', 'an order'], ['condor-acknowledge', 'an alert']])
  })

  it.each([
    ['density="wide"', 'density is comfortable or compact, not wide'],
    ['heading-level="1"', 'heading-level is a number from 2 to 6'],
    ['heading-level="two"', 'heading-level is a number from 2 to 6'],
    ['time-zone="Mars"', 'locale or time-zone is not valid: '],
    ['locale="no_such"', 'locale or time-zone is not valid: '],
  ])('names an attribute that is not valid: %s', async (attribute, sentence) => {
    const element = await added(`src="/api/stream" condor-id="SPY" ${attribute}`)
    expect(article(element).textContent).toContain(sentence)
    expect(opened).toEqual([])
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
