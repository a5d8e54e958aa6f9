import { effectScope, nextTick, reactive, type EffectScope } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { alert, AS_OF, document as account } from '../../tests/account'
import type { Alert } from '../document'
import { createLive } from '../live'
import { DEFAULTS, type Settings } from './settings'
import { useNotifications } from './useNotifications'

const shown: string[] = []
let scopes: EffectScope[] = []

class FakeNotification {
  static permission = 'granted'
  onclick = null
  constructor(title: string, { body }: { body: string }) {
    shown.push(`${title}: ${body}`)
  }
}

/** A tab; all tabs of a test share the storage and the locks. */
function tab(changes: Partial<Settings> = { notify: true }) {
  const { live, show } = createLive(Date.parse(AS_OF))
  const scope = effectScope()
  scopes.push(scope)
  scope.run(() => useNotifications(live, reactive({ ...DEFAULTS, ...changes })))
  let version = 0
  return {
    async shows(alerts: Alert[]) {
      show(account(`e-${++version}`, [], { alerts }))
      for (let turn = 0; turn < 5; turn++) await nextTick()
    },
  }
}

const firing = (rule: string, changes: Partial<Alert> = {}) => alert(rule, { text: `SPY: ${rule} holds.`, ...changes })

beforeEach(() => {
  shown.length = 0
  scopes = []
  localStorage.clear()
  vi.stubGlobal('isSecureContext', true)
  vi.stubGlobal('Notification', FakeNotification)
  let queue: Promise<unknown> = Promise.resolve()
  const request = (_name: string, held: () => unknown) => (queue = queue.then(held))
  vi.stubGlobal('navigator', { locks: { request } })
})
afterEach(() => {
  for (const scope of scopes) scope.stop()
  vi.unstubAllGlobals()
})

describe('a notification', () => {
  it('is shown once, whichever tabs are open, for an alert that begins to fire', async () => {
    const tabs = [tab(), tab()]
    for (const each of tabs) await each.shows([])
    for (const each of tabs) await each.shows([firing('tested')])
    for (const each of tabs) await each.shows([firing('tested'), firing('breached')])
    expect(shown).toEqual(['SPY: tested holds.', 'SPY: breached holds.'])
  })

  it('is shown again for a new firing', async () => {
    const { shows } = tab()
    await shows([])
    await shows([firing('tested')])
    await shows([firing('tested', { state: 'resolved' })])
    await shows([firing('tested', { since: '2026-11-20T15:40:00Z' })])
    expect(shown).toHaveLength(2)
  })

  it('is not shown for an alert that already fires, holds at the start, is acknowledged or only informs', async () => {
    const { shows } = tab()
    await shows([firing('old')])
    const others = [firing('start', { atStart: true }), firing('done', { acknowledgedAt: AS_OF }), firing('info', { severity: 'info' })]
    await shows([firing('old'), ...others])
    expect(shown).toEqual([])
  })

  it('is not shown unless the user has asked for it', async () => {
    const { shows } = tab({ notify: false })
    await shows([])
    await shows([firing('tested')])
    expect(shown).toEqual([])
  })
})
