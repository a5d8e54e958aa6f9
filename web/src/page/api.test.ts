import { afterEach, expect, it, vi } from 'vitest'
import { ApiError, askWith, sentenceOf } from './api'

afterEach(() => vi.unstubAllGlobals())

const refusal = async (answer: () => Promise<Response>) => {
  vi.stubGlobal('fetch', answer)
  const error: unknown = await askWith(() => null)('api/x').catch((error: unknown) => error)
  return [sentenceOf(error), (error as ApiError).status]
}

it('requests below the address of the page, with the current token', async () => {
  const fetch = vi.fn(async (_path: string, _init: RequestInit) => new Response('ok'))
  vi.stubGlobal('fetch', fetch)
  let token: string | null = 'a-token'
  const ask = askWith(() => token)
  await ask('api/x', { method: 'POST' })
  token = null
  await ask('api/y')
  const [first, second] = fetch.mock.calls as [[string, RequestInit], [string, RequestInit]]
  expect([first[0], first[1].method, new Headers(first[1].headers).get('Authorization')]).toEqual(['./api/x', 'POST', 'Bearer a-token'])
  expect(new Headers(second[1].headers).has('Authorization')).toBe(false)
})

it('gives the reason for a failure in a sentence', async () => {
  const problem = (status: number, body: unknown) => async () => Response.json(body, { status })
  expect(await refusal(problem(404, { detail: 'nothing is recorded' }))).toEqual(['Nothing is recorded.', 404])
  expect(await refusal(problem(503, {}))).toEqual(['condord answered with status 503.', 503])
  expect(await refusal(async () => new Response('<html>', { status: 502 }))).toEqual(['condord answered with status 502.', 502])
  expect(await refusal(problem(401, { detail: 'x' }))).toEqual(['condord does not accept the token.', 401])
  expect(await refusal(() => Promise.reject(new TypeError('failed')))).toEqual(['condord cannot be reached.', null])
})
