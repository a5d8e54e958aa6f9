import { effectScope, nextTick, type EffectScope } from 'vue'
import { afterEach, describe, expect, it } from 'vitest'
import { AS_OF, condor, document as account, status, UNREAD, valuation } from '../../tests/account'
import { createLive } from '../live'
import { PAUSE_MS, useAnnouncer } from './useAnnouncer'

const NOW = Date.parse(AS_OF)
const scopes: EffectScope[] = []
afterEach(() => {
  for (const scope of scopes.splice(0)) scope.stop()
})

/** Starts the announcer for an account of one condor with the P/L `first`; null if the account is not read yet. */
function listening(first: number | null) {
  const { live, now, show } = createLive(NOW)
  let version = 0
  const becomes = (pl: number) => {
    const one = condor('A')
    show(account(`e-${++version}`, [{ ...one, valuation: valuation(one.id, { unrealizedPl: pl }) }]))
  }
  if (first === null) show(account('e-0', [], { status: status({ positions: UNREAD }) }))
  else becomes(first)
  const scope = effectScope()
  scopes.push(scope)
  const text = scope.run(() => useAnnouncer(live))!
  const passes = async (ms: number) => {
    now.value += ms
    await nextTick()
  }
  return { becomes, passes, text }
}

describe('the announcer', () => {
  it('compares with the state at its start', async () => {
    const { becomes, passes, text } = listening(0)
    becomes(100)
    await passes(PAUSE_MS)
    expect(text.value).toContain('up 100.00')
  })

  it('announces nothing for the next ten seconds', async () => {
    const { becomes, passes, text } = listening(0)
    becomes(100)
    await passes(PAUSE_MS - 1)
    expect(text.value).toBe('')
    await passes(1)
    expect(text.value).toContain('up 100.00')
  })

  it('does not announce the first reading of the account', async () => {
    const { becomes, passes, text } = listening(null)
    await passes(PAUSE_MS)
    becomes(100)
    await passes(PAUSE_MS)
    expect(text.value).toBe('')
    becomes(200)
    await passes(1000)
    expect(text.value).toContain('+200.00, up 100.00')
  })

  it('announces at once after a pause, then not for ten seconds', async () => {
    const { becomes, passes, text } = listening(0)
    await passes(PAUSE_MS * 3)
    becomes(100)
    await passes(1000)
    expect(text.value).toContain('+100.00')
    becomes(200)
    await passes(PAUSE_MS - 1)
    expect(text.value).toContain('+100.00')
    await passes(1)
    expect(text.value).toContain('+200.00, up 100.00')
  })

  it('keeps its text until the next announcement', async () => {
    const { becomes, passes, text } = listening(0)
    becomes(100)
    await passes(PAUSE_MS)
    const first = text.value
    await passes(PAUSE_MS)
    expect(text.value).toBe(first)
  })
})
