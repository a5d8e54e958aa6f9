import { afterEach, describe, expect, it, vi } from 'vitest'
import { isRefusal, ticketsFrom } from '../src/tickets'

const TICKETS_URL = 'http://condord.test/api/tickets'
const { signal } = new AbortController()

/** Replaces `fetch` by an answer; returns the requests. */
function answers(answer: () => Response) {
  const requests = vi.fn(async (_url: string, _init: RequestInit) => answer())
  vi.stubGlobal('fetch', requests)
  return requests
}
const given = () => Response.json({ ticket: 'T', expiresAt: '2026-11-20T15:31:37Z' }, { status: 201 })

afterEach(() => vi.unstubAllGlobals())

describe('a ticket', () => {
  it('is fetched with the current token, which is in no address', async () => {
    const requests = answers(given)
    const tokens = ['first', 'second']
    const ticket = ticketsFrom(TICKETS_URL, () => tokens.shift())
    expect(await ticket(signal)).toBe('T')
    await ticket(signal)
    await ticket(signal)
    const sent = requests.mock.calls.map(([url, init]) => [url, init.method, new Headers(init.headers).get('Authorization')])
    expect(sent).toEqual([
      [TICKETS_URL, 'POST', 'Bearer first'],
      [TICKETS_URL, 'POST', 'Bearer second'],
      [TICKETS_URL, 'POST', null],
    ])
    expect(requests.mock.calls.every(([, init]) => init.signal === signal && init.cache === 'no-store')).toBe(true)
  })

  it('is fetched without a token if there is none', async () => {
    answers(given)
    expect(await ticketsFrom(TICKETS_URL)(signal)).toBe('T')
  })

  it.each([
    [401, true],
    [403, false],
    [500, false],
  ])('answered with %i rejects, as a refusal: %s', async (status, isOne) => {
    answers(() => new Response('', { status }))
    const error: unknown = await ticketsFrom(TICKETS_URL)(signal).catch((error: unknown) => error)
    expect([error instanceof Error, isRefusal(error)]).toEqual([true, isOne])
  })

  it.each(['with space', 'new\nline', 'é', '“quoted”'])('is not requested with an invalid token: %s', async (token) => {
    const requests = answers(given)
    const error: unknown = await ticketsFrom(TICKETS_URL, () => token)(signal).catch((error: unknown) => error)
    expect([isRefusal(error), requests.mock.calls.length]).toEqual([true, 0])
  })

  it('is recognised as refused from the errors of other code', () => {
    expect(isRefusal(new Response('', { status: 401 }))).toBe(true)
    expect([null, undefined, 'x', new Error('x')].map(isRefusal)).toEqual([false, false, false, false])
  })
})
