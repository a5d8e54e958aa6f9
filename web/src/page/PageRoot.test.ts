/** The page with its token, with a fake network: a daemon that refuses a stream refuses to tell its status, too. */
import { createApp, nextTick } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { AS_OF, condor, document as account, loaded } from '../../tests/account'
import { stubEventSource, type FakeSource } from '../../tests/world'
import PageRoot from './PageRoot.vue'

const KEY = 'condord token /'
const GOOD = 'the-token'
let opened: FakeSource[]
let requests: (string | null)[]
let required: string | null
let end = () => {}

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse(AS_OF) })
  localStorage.clear()
  history.replaceState(null, '', '/')
  opened = stubEventSource()
  requests = []
  required = GOOD
  vi.stubGlobal('navigator', {})
  vi.stubGlobal('fetch', async (url: string, { headers }: RequestInit) => {
    const bearer = new Headers(headers).get('Authorization')
    requests.push(`${url} ${bearer}`)
    if (required !== null && bearer !== `Bearer ${required}`) return new Response('', { status: 401 })
    return Response.json({ ticket: `T${requests.length}` }, { status: 201 })
  })
})
afterEach(() => {
  end()
  vi.useRealTimers()
  vi.unstubAllGlobals()
  document.body.replaceChildren()
})

async function page() {
  const host = document.body.appendChild(document.createElement('div'))
  const app = createApp(PageRoot)
  app.mount(host)
  end = () => app.unmount()
  await vi.advanceTimersByTimeAsync(0)
  if (required !== null && !localStorage.getItem(KEY)) opened.at(-1)?.fails()
  await vi.advanceTimersByTimeAsync(0)
  await loaded()
  const heading = () => host.querySelector('.token h2')?.textContent
  return {
    host,
    heading,
    cards: () => host.querySelectorAll('[data-condor]').length,
    async types(token: string) {
      const field = host.querySelector<HTMLInputElement>('.token input')!
      field.value = token
      field.dispatchEvent(new Event('input'))
      host.querySelector('form.token')!.dispatchEvent(new Event('submit'))
      await vi.advanceTimersByTimeAsync(0)
      await loaded()
    },
    async streams() {
      opened.at(-1)!.sends('snapshot', account('e-1', [condor()]), 'e-1')
      await vi.advanceTimersByTimeAsync(100)
    },
    async forgets() {
      const find = (text: string) => [...document.querySelectorAll('button')].find((each) => each.textContent!.trim() === text)!
      find('Settings').click()
      await vi.dynamicImportSettled()
      await nextTick()
      find('Forget the token').click()
      await loaded()
    },
  }
}

describe('the page', () => {
  it('shows no form for a token if the daemon needs none', async () => {
    required = null
    const { cards, heading, host, streams } = await page()
    await streams()
    expect([cards(), heading(), host.querySelector('form.token')]).toEqual([1, undefined, null])
    expect([requests, opened.length]).toEqual([[], 1])
  })

  it('is rendered with the first document, or without it a moment later', async () => {
    required = null
    const { host, cards, streams } = await page()
    expect(host.querySelector('header')).toBeNull()
    await streams()
    expect([cards(), !!host.querySelector('header')]).toEqual([1, true])
    end()
    const waiting = await page()
    await vi.advanceTimersByTimeAsync(250)
    expect(waiting.host.querySelector('header')!.textContent).toContain('Connecting to condord')
  })

  it('asks for the token once, and again if it is not accepted', async () => {
    const { cards, heading, streams, types } = await page()
    expect(heading()).toBe('condord requires a token')
    await types('wrong')
    expect(heading()).toBe('condord does not accept the token')
    await types(GOOD)
    await streams()
    expect([heading(), cards(), localStorage.getItem(KEY)]).toEqual([undefined, 1, GOOD])
    const STATUS = new URL('/api/status', location.href).href
    expect(requests).toEqual([`${STATUS} null`, './api/tickets Bearer wrong', `./api/tickets Bearer ${GOOD}`])
    expect(opened.map(({ url }) => new URL(url).search)).toEqual(['', '?ticket=T3'])
    end()
    expect((await page()).heading()).toBeUndefined()
  })

  it('takes the token from its address and removes it there', async () => {
    history.replaceState(null, '', `/#token=${GOOD}&sort=worst`)
    const { cards, streams } = await page()
    await streams()
    expect([cards(), location.hash]).toEqual([1, '#sort=worst'])
    expect(opened.some(({ url }) => url.includes(GOOD))).toBe(false)
  })

  it('recovers by itself when the daemon no longer requires a token', async () => {
    const { heading, streams } = await page()
    expect(heading()).toBe('condord requires a token')
    required = null
    await vi.advanceTimersByTimeAsync(30_000)
    await streams()
    expect(heading()).toBeUndefined()
  })

  it('forgets the token with its data and stream and makes no request until there is another', async () => {
    localStorage.setItem(KEY, GOOD)
    const { cards, forgets, heading, streams, types } = await page()
    await streams()
    await forgets()
    expect([cards(), heading(), localStorage.getItem(KEY)]).toEqual([0, 'condord requires a token', null])
    expect([opened[0]!.readyState, document.title]).toEqual([2, 'condord'])
    const before = requests.length
    await vi.advanceTimersByTimeAsync(120_000)
    expect(requests).toHaveLength(before)
    await types(GOOD)
    await streams()
    expect(cards()).toBe(1)
  })
})
