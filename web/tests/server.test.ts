// @vitest-environment node
/** An app that is rendered on a server: there is no page, no address of it and nobody to show a tick to. */
import { createSSRApp, h } from 'vue'
import { renderToString } from 'vue/server-renderer'
import { expect, it, vi } from 'vitest'
import IronCondorCard from '../src/IronCondorCard.vue'
import { usePositions } from '../src/usePositions'
import { useCondorStream } from '../src/useCondorStream'

it.each([
  ['useCondorStream', useCondorStream],
  ['usePositions', usePositions],
])('%s is empty on a server, and opens, asks and waits for nothing', async (_, use) => {
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
