// @vitest-environment node
/** An app rendered on a server, which has no page, no address and no use for ticks. */
import { createSSRApp, h } from 'vue'
import { renderToString } from 'vue/server-renderer'
import { expect, it, vi } from 'vitest'
import IronCondorCard from '../src/IronCondorCard.vue'
import { usePositions } from '../src/usePositions'
import { useCondorStream } from '../src/useCondorStream'

it.each([
  ['useCondorStream', useCondorStream],
  ['usePositions', usePositions],
])('%s is empty on a server and opens no connection and no timer', async (_, use) => {
  const called = vi.fn()
  for (const name of ['EventSource', 'fetch', 'setTimeout']) vi.stubGlobal(name, called)
  const app = createSSRApp({
    setup() {
      const live = use('/api')
      return () => h(IronCondorCard, { live, id: 'SPY' })
    },
  })
  const html = await renderToString(app)
  vi.unstubAllGlobals()
  expect(html).toContain('Waiting for condord …')
  expect(called).not.toHaveBeenCalled()
})

it('the element can be imported where there are no elements', async () => {
  expect(globalThis.HTMLElement).toBeUndefined()
  const { IronCondorCardElement } = await import('../src/element')
  expect(IronCondorCardElement.observedAttributes).toContain('src')
})
