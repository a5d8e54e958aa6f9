import { createApp, nextTick, type App } from 'vue'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Condor } from '../src/document'
import { format } from '../src/format'
import PayoffChart from '../src/PayoffChart.vue'
import { AS_OF, condor, loaded, risk, status } from './account'

const apps: App[] = []
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
  document.body.replaceChildren()
  vi.unstubAllGlobals()
})

const IVS = condor().legs.map(({ symbol }) => ({ symbol, iv: 0.15, delta: 0, gamma: 0, theta: 0, vega: 0, source: 'model' as const }))
const priced = (changes: Partial<Condor> = {}) => condor('SPY', { risk: risk('x', { asOf: AS_OF, legs: IVS }), ...changes })

function chart(shown: Condor = priced(), price: number | null = 742, more = '') {
  const host = document.body.appendChild(document.createElement('div'))
  const props = { condor: shown, more, price, today: 155, model: status().model, exDividend: null, format, isCompact: false }
  const app = createApp(PayoffChart, props)
  app.mount(host)
  apps.push(app)
  const svg = host.querySelector<SVGSVGElement>('.condor-payoff')!
  const number = (selector: string, name: string) => Number(host.querySelector(selector)?.getAttribute(name))
  const readout = () => host.querySelector('.condor-readout')!.textContent
  const press = async (key: string, options: KeyboardEventInit = {}) => {
    const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...options })
    svg.dispatchEvent(event)
    await nextTick()
    return event
  }
  return { host, svg, number, readout, press, texts: () => [...host.querySelectorAll('text')].map((each) => each.textContent!.trim()) }
}

describe('the chart', () => {
  it('has the price, the short strikes, the profits and the band of one expected move', () => {
    const { texts, number, host } = chart()
    expect(texts()).toEqual(['+$642', '−$1,358', '715', '770', 'SPY 742.00'])
    expect([number('.condor-band', 'x'), number('.condor-band', 'width')]).toEqual([75.7, expect.closeTo(165.8, 1)])
    expect(host.querySelectorAll('.condor-strike, .condor-even')).toHaveLength(4)
  })

  it('marks the largest loss if it may be exceeded', async () => {
    const { texts, svg, press, readout } = chart(priced(), 742, ' or more')
    expect(chart(priced(), 600, ' or more').texts()).toContain('−$1,358 or more')
    // It would be on a strike.
    expect(texts().join()).not.toContain('$1,358')
    expect(svg.getAttribute('aria-label')).toContain('from −$1,358.00 or more to +$642.00')
    await press('Home')
    expect(readout()).toContain('−$1,358 or more at expiration')
    await press('End')
    expect(readout()).toContain('−$1,358 or more at expiration')
    for (let at = 0; at < 20; at += 1) await press('ArrowLeft')
    expect(readout()).not.toContain('or more')
  })

  it('has the curve of today with the dot on it, and does not wait for it', async () => {
    const { host, number } = chart()
    expect(host.querySelector('.condor-line')).not.toBeNull()
    await loaded()
    const points = host.querySelector('.condor-today')!.getAttribute('points')!.split(' ').map((each) => each.split(',').map(Number))
    expect(points).toHaveLength(49)
    const nearest = points.toSorted(([one], [other]) => Math.abs(one! - number('.condor-now', 'cx')) - Math.abs(other! - number('.condor-now', 'cx')))[0]!
    expect(number('.condor-now', 'cy') - 18).toBeCloseTo(nearest[1]!, 0)
  })

  it('has the dot at the profit or loss without volatilities, and neither line nor dot without a price', async () => {
    const { host } = chart(condor())
    await loaded()
    expect([host.querySelector('.condor-today'), host.querySelector('.condor-now') !== null]).toEqual([null, true])
    const unpriced = chart(priced(), null).host
    expect(unpriced.querySelectorAll('.condor-price, .condor-now, .condor-band')).toHaveLength(0)
    expect(unpriced.querySelector('.condor-today')).not.toBeNull()
  })

  it('cuts off losses that would flatten the profits, and marks that', () => {
    const legs = condor().legs.map((leg, at) => (at ? leg : { ...leg, strike: 500 }))
    const { texts, host } = chart(condor('SPY', { legs }))
    expect(texts()[1]).toBe('↓ −$42,358')
    const [outside, corner, zero] = host.querySelector('.condor-line')!.getAttribute('points')!.split(' ').slice(2).map((each) => each.split(',').map(Number))
    // The plot ends at four times the maximum profit, and the line with it: no slope is changed.
    expect([outside![1], corner![1], zero![1]]).toEqual([101, expect.any(Number), expect.any(Number)])
  })

  it('names the breakevens until it is asked for a price', () => {
    expect(chart().readout()).toBe('Breakevens 711.79 and 773.21')
    expect(chart(condor('SPY', { breakevens: { lower: null, upper: 773.21 } })).readout()).toBe('Breakeven 773.21')
    expect(chart(condor('SPY', { breakevens: { lower: null, upper: null } })).readout()).toBe('No breakeven')
  })

  it('moves its cursor by keys, from the price on', async () => {
    const { readout, press, svg } = chart(condor())
    expect((await press('ArrowRight')).defaultPrevented).toBe(true)
    expect(readout()).toBe('At 744.00: +$642 at expiration')
    expect([svg.getAttribute('aria-valuenow'), svg.getAttribute('aria-valuetext')]).toEqual(['744', readout()])
    await press('ArrowLeft', { shiftKey: true })
    expect(readout()).toBe('At 733.00: +$642 at expiration')
    await press('Home')
    expect(readout()).toBe('At 686.00: −$1,358 at expiration')
    await press('End')
    await press('PageDown')
    expect(readout()).toBe('At 788.00: −$1,358 at expiration')
    await press('Escape')
    expect(readout()).toBe('Breakevens 711.79 and 773.21')
  })

  it('also gives the value of today if it is known', async () => {
    const { readout, press } = chart()
    await loaded()
    await press('ArrowRight')
    expect(readout()).toMatch(/^At 744\.00: \+\$642 at expiration · [+−]\$\d+ today$/)
  })

  it('keeps its arrow keys from the list of cards, and leaves others alone', async () => {
    const outer = vi.fn<(event: Event) => void>()
    const { press, host } = chart()
    host.addEventListener('keydown', outer)
    await press('ArrowDown')
    expect(outer).not.toHaveBeenCalled()
    expect([(await press('j')).defaultPrevented, (await press('ArrowUp', { ctrlKey: true })).defaultPrevented]).toEqual([false, false])
    expect(outer).toHaveBeenCalledTimes(2)
  })

  it('follows the pointer', async () => {
    const { svg, readout } = chart(condor())
    vi.spyOn(svg, 'getBoundingClientRect').mockReturnValue({ left: 100, width: 225 } as DOMRect)
    svg.dispatchEvent(new PointerEvent('pointermove', { clientX: 150, bubbles: true }))
    await nextTick()
    expect(readout()).toBe('At 711.00: −$158 at expiration')
    svg.dispatchEvent(new PointerEvent('pointerleave'))
    await nextTick()
    expect(readout()).toBe('Breakevens 711.79 and 773.21')
  })

  it('is drawn in pixels once its width is known', async () => {
    let report: (entries: { contentRect: { width: number } }[]) => void = () => {}
    vi.stubGlobal('ResizeObserver', class {
      constructor(call: typeof report) {
        report = call
      }
      observe() {}
      disconnect() {}
    })
    const { svg } = chart()
    expect(svg.getAttribute('viewBox')).toBe('0 0 320 138')
    report([{ contentRect: { width: 500.4 } }])
    await nextTick()
    expect(svg.getAttribute('viewBox')).toBe('0 0 500 138')
  })
})
