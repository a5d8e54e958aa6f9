import { afterEach, expect, it, vi } from 'vitest'
import { effectScope, nextTick } from 'vue'
import { alert, AS_OF, document as account } from '../../tests/account'
import { createLive } from '../live'
import type { Ask } from './ask'
import { useAcknowledge } from './useAcknowledge'

const scope = effectScope()
const firing = alert('tested:x', { id: 'tested:x' })

function begin(ask: Ask) {
  const { live, link, show } = createLive(Date.parse(AS_OF))
  link.value = { state: 'open', since: 0, retryAt: null }
  show(account('e-1'))
  return { acknowledging: scope.run(() => useAcknowledge(ask, live))!, link }
}

afterEach(() => vi.doUnmock('./api'))

it('does not stay pending if the module for the error text cannot be loaded either', async () => {
  vi.doMock('./api', () => {
    throw new TypeError('Failed to fetch dynamically imported module')
  })
  const { acknowledging } = begin(() => Promise.reject(new TypeError('Failed to fetch')))
  await acknowledging.acknowledge([firing])
  expect([acknowledging.pending.size, acknowledging.errors.get('tested:x')]).toEqual([0, 'condord cannot be reached.'])
})

it('sends no request while there is an obstacle, and shows no error of a request that failed because of one', async () => {
  const requests: string[] = []
  const { acknowledging, link } = begin(async (path) => {
    requests.push(path)
    link.value = { state: 'reconnecting', since: 0, retryAt: null }
    throw new Error('it is gone')
  })
  await acknowledging.acknowledge([firing])
  await nextTick()
  expect(acknowledging.errors.size).toBe(0)
  await acknowledging.acknowledge([firing])
  expect(requests).toEqual(['api/alerts/tested%3Ax/acknowledge'])
})
