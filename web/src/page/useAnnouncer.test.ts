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

/** One who listens to an account of a single condor, which is worth `first`, or not read yet. */
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
  const said = scope.run(() => useAnnouncer(live))!
  const passes = async (ms: number) => {
    now.value += ms
    await nextTick()
  }
  return { becomes, passes, said }
}

describe('what is announced', () => {
  it('is compared to what there was as listening began, not a second later', async () => {
    const { becomes, passes, said } = listening(0)
    becomes(100)
    await passes(PAUSE_MS)
    expect(said.value).toContain('up 100.00')
  })

  it('is nothing for ten seconds from then on', async () => {
    const { becomes, passes, said } = listening(0)
    becomes(100)
    await passes(PAUSE_MS - 1)
    expect(said.value).toBe('')
    await passes(1)
    expect(said.value).toContain('up 100.00')
  })

  it('is nothing of what there is where the account is first read', async () => {
    const { becomes, passes, said } = listening(null)
    await passes(PAUSE_MS)
    becomes(100)
    await passes(PAUSE_MS)
    expect(said.value).toBe('')
    becomes(200)
    await passes(1000)
    expect(said.value).toContain('+200.00, up 100.00')
  })

  it('comes at once after a time of silence, and then not for ten seconds', async () => {
    const { becomes, passes, said } = listening(0)
    await passes(PAUSE_MS * 3)
    becomes(100)
    await passes(1000)
    expect(said.value).toContain('+100.00')
    becomes(200)
    await passes(PAUSE_MS - 1)
    expect(said.value).toContain('+100.00')
    await passes(1)
    expect(said.value).toContain('+200.00, up 100.00')
  })

  it('stays as it was said while nothing more is to be said', async () => {
    const { becomes, passes, said } = listening(0)
    becomes(100)
    await passes(PAUSE_MS)
    const first = said.value
    await passes(PAUSE_MS)
    expect(said.value).toBe(first)
  })
})
