import { createApp, nextTick, shallowReactive } from 'vue'
import { expect, it } from 'vitest'
import { AS_OF, condor, valuation } from '../../tests/account'
import type { Alert, Condor, Notice, Unmatched } from '../document'
import PageNotices from './PageNotices.vue'

it('names what is held, and does not look for it again when only its value changes', async () => {
  let reads = 0
  const held = condor()
  const counted = (changes: Partial<Condor> = {}): Condor => Object.defineProperty({ ...held, ...changes }, 'legs', { get: () => ((reads += 1), held.legs) })
  const notice = { code: 'assignment', text: 'Assigned.', since: AS_OF, condorId: null, symbols: [held.legs[0]!.symbol] } as unknown as Notice
  const condors = shallowReactive(new Map([[held.id, counted()]]))
  const host = document.createElement('div')
  const shown = { condors, unmatched: new Map<string, Unmatched>(), alerts: new Map<string, Alert>() }
  const app = createApp(PageNotices, { notices: [notice], ...shown, now: Date.parse(AS_OF) })
  app.mount(host)
  const text = () => host.querySelector('li')!.textContent!
  expect(text()).toContain('SPY Dec 18, 2026: Assigned.')
  const before = reads
  condors.set(held.id, counted({ valuation: valuation('x', { unrealizedPl: 1 }) }))
  await nextTick()
  expect(reads).toBe(before)
  condors.delete(held.id)
  await nextTick()
  expect(text()).not.toContain('SPY')
  app.unmount()
})
