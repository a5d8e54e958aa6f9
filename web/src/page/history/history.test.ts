import { createApp, nextTick, type App as Application } from 'vue'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { AS_OF, alert, condor, document as account } from '../../../tests/account'
import { createLive } from '../../live'
import { ASK } from '../ask'
import { askWith } from '../api'
import HistoryPanel from './HistoryPanel.vue'
import { lineOf, nearest, type Recorded } from './line'
import PageTrades from './PageTrades.vue'
import { queryOf } from './ranges'

const NOW = Date.parse(AS_OF)
const MINUTE = 60
const apps: Application[] = []

function recorded(seconds: number[], cents: (number | null)[], changes: Partial<Recorded> = {}): Recorded {
  const none = seconds.map(() => null)
  return { id: null, openedAt: null, resolutionSeconds: MINUTE, seconds, cents, naturalCents: cents, price: none, low: cents, high: cents, quantity: none, ...changes }
}

/** Mounts a component with a network that gives `answers` by the beginning of the path. */
async function shown(component: object, props: object, answers: Record<string, () => Response>) {
  const requests: string[] = []
  vi.stubGlobal('fetch', async (path: string) => {
    requests.push(path)
    const key = Object.keys(answers).sort((one, other) => other.length - one.length).find((key) => path.startsWith(key))!
    return answers[key]!()
  })
  const app = createApp(component, { ...props })
  app.provide(ASK, askWith(() => null))
  app.mount(document.body.appendChild(document.createElement('div')))
  apps.push(app)
  const settled = async () => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve))
    await nextTick()
  }
  await settled()
  const text = (selector: string) => document.querySelector(selector)?.textContent!.trim().replace(/\s+/g, ' ')
  return { requests, settled, text }
}

afterEach(() => {
  for (const app of apps.splice(0)) app.unmount()
  document.body.replaceChildren()
  vi.unstubAllGlobals()
})

describe('the layout of the line', () => {
  const at = NOW / 1000

  it('is interrupted where a minute of the session is missing or not known', () => {
    const seconds = [0, 1, 2, 5, 6].map((minute) => at + minute * MINUTE)
    expect(lineOf(recorded(seconds, [1, 2, 3, 4, 5]), NOW)!.runs).toEqual([[0, 2], [3, 4]])
    expect(lineOf(recorded(seconds, [1, null, 3, 4, 5]), NOW)!.runs).toEqual([[0, 0], [2, 2], [3, 4]])
    const { places } = lineOf(recorded(seconds, [1, 2, 3, 4, 5]), NOW)!
    expect(places.map(({ x }) => x)).toEqual([0, 1 / 6, 2 / 6, 5 / 6, 1])
    expect([nearest(places, 0.3), nearest(places, 0.95), nearest(places, -1)]).toEqual([2, 4, 0])
  })

  it('goes on over a night and a weekend, but not over a day without a session', () => {
    const days = (dates: string[]) => dates.map((date) => Date.parse(`${date}T16:00:00Z`) / 1000)
    const runs = (dates: string[]) => lineOf(recorded(days(dates), dates.map(() => 1)), NOW)!.runs
    expect(runs(['2026-11-19', '2026-11-20', '2026-11-23'])).toEqual([[0, 2]])
    expect(runs(['2026-11-18', '2026-11-20'])).toEqual([[0, 0], [1, 1]])
  })

  it('has zero and the extremes, and nothing without a point', () => {
    const line = lineOf(recorded([at, at + MINUTE], [-5000, 12000], { low: [-9000, null], high: [null, 13000] }), NOW)!
    expect([line.low, line.high]).toEqual([-9000, 13000])
    expect(line.levels.map(({ text }) => text)).toEqual(['−$50', '$0', '$50', '$100'])
    expect(lineOf(recorded([], []), NOW)).toBeNull()
  })
})

it('a range begins at a date of the exchange', () => {
  expect(queryOf('SPY-1', 'session', NOW)).toBe('condor=SPY-1&from=2026-11-20')
  expect(queryOf(null, 'week', NOW)).toBe('from=2026-11-13')
  expect(queryOf(null, 'month', NOW)).toBe('from=2026-10-20')
  expect(queryOf(null, 'all', NOW)).toBe('')
})

describe('the history of a condor', () => {
  const held = condor()
  const seconds = [0, 1, 2].map((minute) => NOW / 1000 + minute * MINUTE)
  const roll = { id: 'SPY-OLD', how: 'rolled', rolledTo: held.id, closedAt: new Date(NOW + 60_000).toISOString() }

  async function opened(history: () => Response, trades = () => Response.json({ trades: [roll], totals: {} })) {
    const { live, show } = createLive(NOW)
    show(account('e-1', [held], { alerts: [alert('tested', { condorId: held.id, text: 'SPY: it is tested.' })] }))
    return shown(HistoryPanel, { live, condorId: held.id }, { './api/history': history, './api/trades': trades })
  }

  it('has the values of the point that the keys choose, with alerts and rolls', async () => {
    const { requests, settled, text } = await opened(() => Response.json(recorded(seconds, [-500, 1000, 2000], { price: [740, 741, 742] })))
    expect(requests[0]).toBe(`./api/history?condor=${held.id}&from=2026-11-20`)
    expect(text('.history-values')).toContain('P/L+$20.00')
    const chart = document.querySelector('.history-chart')!
    chart.dispatchEvent(new KeyboardEvent('keydown', { key: 'Home', bubbles: true }))
    await nextTick()
    expect(chart.getAttribute('aria-valuetext')).toBe(
      'Time 10:31 ET, P/L −$5.00, Low and high −$5.00 to −$5.00, P/L if closed −$5.00, Underlying 740.00',
    )
    expect([...document.querySelectorAll('.history-marks li')].map((each) => each.textContent)).toEqual([
      '10:31 — it is tested.',
      '10:32 — Rolled from SPY-OLD.',
    ])
    expect(document.querySelector('.history-marks')!.getAttribute('tabindex'), 'scrollable by keyboard').toBe('0')
    ;[...document.querySelectorAll('button')].find((each) => each.textContent!.trim() === 'All')!.click()
    await settled()
    expect(requests.at(-1)).toBe(`./api/history?condor=${held.id}`)
  })

  it('shows why there is none', async () => {
    const { text } = await opened(
      () => Response.json({ detail: 'nothing is recorded, because history.enabled is false' }, { status: 404 }),
      () => new Response('', { status: 503 }),
    )
    expect(text('.need-error')).toBe('Nothing is recorded, because history.enabled is false.')
    expect(document.body.textContent).toContain('Rolls cannot be marked. condord answered with status 503.')
  })

  it('shows the last session before the first minute of today', async () => {
    const friday = Date.parse('2026-11-13T20:00:00Z') / 1000
    const answers = [recorded([], []), recorded([friday], [100]), recorded([friday], [100])]
    const { requests } = await opened(() => Response.json(answers.shift()))
    expect(requests.filter((path) => path.startsWith('./api/history'))).toEqual([
      `./api/history?condor=${held.id}&from=2026-11-20`,
      `./api/history?condor=${held.id}&from=2026-11-13`,
      `./api/history?condor=${held.id}&from=2026-11-13`,
    ])
  })
})

describe('the closed trades', () => {
  const trade = {
    id: 'SPY-261113-706-716-744-754', underlying: 'SPY', kind: 'ironCondor', direction: 'short', quantity: 1,
    openedAt: null, closedAt: '2026-11-13T21:15:00Z', how: 'assigned', credit: 3.89, debit: null, realizedPl: null,
    percentOfMaxProfit: null, daysHeld: null, worstPl: null, bestPl: null, fees: null, shares: { symbol: 'SPY', quantity: 100, price: null },
  }
  const totals = { trades: 1, realizedPl: 0, winners: 0, losers: 0, unknown: 1, winRate: null, averageWin: null, averageLoss: null, completeFrom: null }

  it('show unknown values as unknown', async () => {
    const { text } = await shown(PageTrades, { now: NOW }, { './api/trades': () => Response.json({ trades: [trade], totals }) })
    expect(text('.totals')).toBe('Realized P/L—Win rate—Winners and losers0 and 0Average win—Average loss—Trades1')
    expect(text('.trades .aside ~ .aside, .totals ~ .aside')).toContain('trades may be missing. The result of 1 trade is not known')
    expect(text('tbody tr')).toBe('SPY 706/716/744/754 short iron condor × 1Nov 13assigned, +100 SPY shares3.89——————')
  })

  it('are not counted before the past has been read', async () => {
    const unread = { ...totals, trades: 0, realizedPl: null, unknown: 0 }
    const { text } = await shown(PageTrades, { now: NOW }, { './api/trades': () => Response.json({ trades: [], totals: unread }) })
    expect(text('.totals')).toBe('Realized P/L—Win rate—Winners and losers—Average win—Average loss—Trades—')
    expect(document.querySelector('.empty')).toBeNull()
    expect(text('.totals ~ .aside')).toContain("The account's past has not been read yet")
  })

  it('show why they cannot be read, and are requested again', async () => {
    let isDown = true
    const answer = () => (isDown ? Response.json({ detail: 'the source is lost' }, { status: 503 }) : Response.json({ trades: [], totals: { ...totals, completeFrom: AS_OF } }))
    const { settled, text } = await shown(PageTrades, { now: NOW }, { './api/trades': answer })
    expect(text('.need-error')).toBe('The source is lost. Try again')
    isDown = false
    document.querySelector<HTMLElement>('.need-error button')!.click()
    await settled()
    expect(text('.empty')).toBe('No condor was closed in this time.')
    expect(document.body.textContent).toContain('Complete since Nov 20.')
  })
})
