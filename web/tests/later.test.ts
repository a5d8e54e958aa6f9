import { createApp, h } from 'vue'
import { afterEach, expect, it, vi } from 'vitest'
import { later } from '../src/later'

afterEach(() => void vi.useRealTimers())

it('tries again to load a component, as the daemon may be restarting', async () => {
  vi.useFakeTimers()
  const load = vi.fn().mockRejectedValueOnce(new TypeError('Failed to fetch')).mockResolvedValue({ default: { render: () => h('b', 'here') } })
  const host = document.createElement('div')
  const app = createApp(later(load))
  app.mount(host)
  await vi.advanceTimersByTimeAsync(1999)
  expect([host.textContent, load.mock.calls.length]).toEqual(['', 1])
  await vi.advanceTimersByTimeAsync(1)
  expect([host.textContent, load.mock.calls.length]).toEqual(['here', 2])
  app.unmount()
})
