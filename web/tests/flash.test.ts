import { createApp, h, nextTick, shallowRef, withDirectives, type App } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { vFlash, type Flash } from '../src/flash'

const apps: App[] = []

/** A card with two numbers, which change by `set`. */
function card(mode: Flash['mode'] = 'effect', effects: [1 | -1, 1 | -1] = [1, 1]) {
  const values = shallowRef<[number | null, number | null]>([1, 1])
  const host = document.body.appendChild(document.createElement('div'))
  const number = (at: 0 | 1) => withDirectives(h('b', String(values.value[at])), [[vFlash, { value: values.value[at], effect: effects[at], mode }]])
  const app = createApp({ render: () => h('article', { class: 'condor-card' }, [number(0), number(1)]) })
  app.mount(host)
  apps.push(app)
  const lit = () => [...host.querySelectorAll('b')].map((element) => element.dataset['flash'])
  return async (...next: [number | null, number | null]) => {
    values.value = next
    await nextTick()
    return lit()
  }
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] }))
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
  document.body.replaceChildren()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('a flash', () => {
  it('lights one element of a card at a time, for a moment', async () => {
    const set = card()
    expect(await set(2, 2)).toEqual(['gain', undefined])
    vi.advanceTimersByTime(500)
    expect(await set(2, 2)).toEqual([undefined, undefined])
  })

  it('comes at most once a second', async () => {
    const set = card()
    let flashes = 0
    for (let tick = 0; tick < 100; tick++) {
      const lit = await set(tick + 2, tick + 2)
      expect(lit.filter(Boolean).length).toBeLessThanOrEqual(1)
      if (lit.some(Boolean) && tick % 5 === 0) flashes += 1
      vi.advanceTimersByTime(100)
    }
    expect(flashes).toBeGreaterThan(0)
    expect(flashes).toBeLessThanOrEqual(10)
  })

  it('does not keep another card from flashing', async () => {
    const [one, other] = [card(), card()]
    expect([await one(2, 1), await other(2, 1)]).toEqual([['gain', undefined], ['gain', undefined]])
  })

  it('shows the effect on the profit or loss: a rise of what was sold is a loss', async () => {
    const set = card('effect', [-1, 1])
    expect(await set(2, 1)).toEqual(['loss', undefined])
    vi.advanceTimersByTime(2000)
    expect(await set(1, 1)).toEqual(['gain', undefined])
    vi.advanceTimersByTime(2000)
    expect(await set(1, 0)).toEqual([undefined, 'loss'])
  })

  it('can be neutral or off', async () => {
    expect(await card('neutral')(2, 1)).toEqual(['neutral', undefined])
    expect(await card('off')(2, 1)).toEqual([undefined, undefined])
  })

  it('needs a value before and after', async () => {
    const set = card()
    expect(await set(null, 1)).toEqual([undefined, undefined])
    expect(await set(2, 1)).toEqual([undefined, undefined])
  })

  it('does not come while reduced motion is preferred', async () => {
    vi.stubGlobal('matchMedia', (query: string) => ({ matches: query === '(prefers-reduced-motion: reduce)' }))
    expect(await card()(2, 1)).toEqual([undefined, undefined])
  })
})
