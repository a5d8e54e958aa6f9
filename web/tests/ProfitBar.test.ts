import { createApp, type App } from 'vue'
import { afterEach, describe, expect, it } from 'vitest'
import type { Condor } from '../src/document'
import ProfitBar from '../src/ProfitBar.vue'
import { profitScale } from '../src/profitScale'
import { condor, valuation } from './account'

const apps: App[] = []
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
})

function bar(changes: Partial<Condor>, isMini = false) {
  const host = document.createElement('div')
  const app = createApp(ProfitBar, { condor: condor('SPY', changes), isMini })
  app.mount(host)
  apps.push(app)
  const ticks = [...host.querySelectorAll('.condor-tick')].map((tick) => [tick.getAttribute('data-kind'), tick.getAttribute('d')])
  const fill = host.querySelector('.condor-bar-fill')
  const labels = [...host.querySelectorAll('span')].map((each) => each.textContent)
  return { host, ticks, labels, fill: fill && ['data-kind', 'x', 'width'].map((name) => fill.getAttribute(name)) }
}
const at = (pl: number | null) => valuation('x', { unrealizedPl: pl })

describe('the bar', () => {
  it('reaches from the maximum loss to the maximum profit, with zero marked', () => {
    const { ticks, fill, labels, host } = bar({ valuation: at(-679) })
    expect(ticks).toEqual([['zero', 'M67.9 2.5V9.5']])
    expect(fill!.slice(0, 2)).toEqual(['loss', '34'])
    expect(Number(fill![2])).toBeCloseTo(33.9)
    expect(labels).toEqual(['Max loss $1,358', '24 % of max profit', 'Max profit $642'])
    expect(host.querySelector('svg')!.getAttribute('aria-label')).toBe(
      'P/L −$679.00; 24 % of max profit; Max loss $1,358; Max profit $642',
    )
  })

  it('marks target and stop and begins a fifth beyond the stop', () => {
    const { ticks, labels } = bar({ exits: { target: 321, stop: -642 } })
    const { at, low } = profitScale(condor('SPY', { exits: { target: 321, stop: -642 } }))!
    expect(low).toBeCloseTo(-770.4)
    expect(ticks).toEqual([
      ['zero', `M${at(0)} 2.5V9.5`],
      ['stop', `M${at(-642)} 0V12`],
      ['target', `M${at(321)} 0V12`],
    ])
    expect([labels[0], labels[2]]).toEqual(['Stop −$642', 'Target +$321'])
  })

  it('moves out with a loss beyond the stop, but not beyond the maximum loss', () => {
    const low = (pl: number) => profitScale(condor('SPY', { exits: { target: null, stop: -300 }, valuation: at(pl) }))!.low
    expect([low(0), low(-900), low(-5000)]).toEqual([-360, -900, -1358])
  })

  it('has no fill without a profit or loss, and is absent without a maximum profit', () => {
    expect(bar({ valuation: at(null) }).fill).toBeNull()
    expect(bar({ maxProfit: null }).host.querySelector('svg')).toBeNull()
    expect(bar({ maxProfit: -5 }).host.querySelector('svg')).toBeNull()
  })

  it('is only a bar in a row of a table', () => {
    const { labels, ticks } = bar({}, true)
    expect([labels, ticks.length]).toEqual([[], 1])
  })
})
