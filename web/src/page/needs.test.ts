import { describe, expect, it } from 'vitest'
import { alert, AS_OF, broken, condor, document as account, status, UNREAD, valuation } from '../../tests/account'
import type { Alert, Broken, Condor, Notice } from '../document'
import type { Link } from '../live'
import { afterCutoffs, currentOf, doubtOf, entriesOf, isUnanswered, split } from './needs'
import { noticesBeside } from './notices'

const OPEN: Link = { state: 'open', since: 0, retryAt: null }
const NOTHING = { alerts: new Map(), condors: new Map(), broken: new Map(), underlyings: new Map(), link: OPEN, status: status(), now: Date.parse(AS_OF) }
const mapOf = <Item extends { id: string }>(items: Item[]) => new Map(items.map((item) => [item.id, item]))
const entries = (alerts: Alert[], condors: Condor[] = [], lost: Broken[] = []) =>
  entriesOf({ ...NOTHING, alerts: mapOf(alerts), condors: mapOf(condors), broken: mapOf(lost) })
const on = (held: Condor, rule: string, changes: Partial<Alert> = {}) =>
  alert(`${rule}:${held.id}`, { condorId: held.id, underlying: held.underlying, text: `${held.root}: ${rule} holds. P/L 5.00.`, ...changes })

describe('what needs the owner', () => {
  const near = condor('NEAR', { daysToExpiration: 1 })
  const far = condor('FAR', { daysToExpiration: 40 })

  it('has one entry for each condor, its most severe sentence first', () => {
    const [entry, ...others] = entries([on(near, 'tested'), on(near, 'breached', { severity: 'critical' })], [near])
    expect(others).toEqual([])
    expect(entry!.needs.map(({ severity, text }) => [severity, text])).toEqual([
      ['critical', 'breached holds.'],
      ['warning', 'tested holds.'],
    ])
    expect([entry!.name, entry!.pl]).toEqual(['NEAR', 155])
  })

  it('lists critical before warning, then the nearest expiration, then the account', () => {
    const whole = alert('feed-down:account', { underlying: null, text: 'The account: prices are down.' })
    const found = entries([on(near, 'tested'), whole, on(far, 'tested'), on(far, 'stop', { severity: 'critical' })], [near, far])
    expect(found.map(({ key }) => key)).toEqual([far.id, near.id, 'account'])
    expect(found[2]!.pl).toBeUndefined()
    expect(entries([on(far, 'tested'), on(near, 'tested')], [far, near]).map(({ key }) => key)).toEqual([near.id, far.id])
  })

  it('lists the largest loss first within an expiration', () => {
    const losing = (root: string, percentOfRisk: number | null) => {
      const one = condor(root, { daysToExpiration: 0 })
      return { ...one, valuation: valuation(one.id, { percentOfRisk }) }
    }
    const all = [losing('A', 10), losing('B', -20), losing('C', null), losing('D', -99)]
    expect(entries(all.map((each) => on(each, 'tested')), all).map(({ name }) => name)).toEqual(['D', 'B', 'A', 'C'])
  })

  it('lists condors that still take orders first within an expiration, before larger losses', () => {
    const until = (root: string, time: string, percentOfRisk: number) => {
      const one = condor(root, { daysToExpiration: 0 })
      const cutoffs = [{ kind: 'orders' as const, at: `2026-11-20T${time}:00Z`, source: 'config' as const }]
      return { ...one, expiry: { ...one.expiry!, cutoffs }, valuation: valuation(one.id, { percentOfRisk }) }
    }
    const all = [until('OVER', '15:31', -99), until('OPEN', '15:32', 20), until('ALSO', '15:32', -5)]
    expect(entries(all.map((each) => on(each, 'tested')), all).map(({ name }) => name)).toEqual(['ALSO', 'OPEN', 'OVER'])
  })

  it('does not repeat the time left for orders, which comes before the sentence', () => {
    const text = (sentence: string, held = [near]) => entries([on(near, 'r', { text: `NEAR 1: ${sentence}` })], held)[0]!.needs[0]!.text
    const cutoff = 'Alpaca takes orders for it until 15:30 ET (as configured)'
    expect(text(`${cutoff} and may liquidate it from 15:15, and the short put 740 is away, NEAR 741.36.`)).toBe(
      'Alpaca may liquidate it from 15:15, and the short put 740 was away, NEAR 741.36 at 10:31:00 ET.',
    )
    expect(text('Alpaca takes orders for it until 16:15 ET (the end of its trading) and the short put 740 is at the price.')).toBe('the short put 740 is at the price.')
    expect(text('the short put 740 is breached, NEAR 739.00; Alpaca has taken no orders for it since 15:15 ET.')).toBe('the short put 740 has been breached, NEAR 739.00 at 10:31:00 ET.')
    expect(text('the short put 740 is breached, NEAR 739.00; Alpaca takes orders for it until 15:15 ET.')).toBe('the short put 740 has been breached, NEAR 739.00 at 10:31:00 ET.')
    expect(text('expires today; Alpaca takes orders until 15:15 and may liquidate from 15:15, and trading ends at 16:00 ET (1 condor).')).toBe(
      'expires today; Alpaca may liquidate from 15:15, and trading ends at 16:00 ET.',
    )
    for (const whole of ['Alpaca takes orders for it until 15:30 ET on Dec 4 (as configured).', `${cutoff}.`]) {
      expect(text(whole)).toBe(whole)
    }
    expect(text('breached; Alpaca has taken no orders for it since 15:15 ET.', [])).toContain('no orders')
  })

  it('has the time of the measurement, with its day if that is not today', () => {
    const text = (sentence: string, changes: Partial<Alert> = {}) => entries([on(near, 'r', { text: `NEAR 1: ${sentence}`, ...changes })])[0]!.needs[0]!.text
    expect(text('the loss is 91 to 92 % of the maximum loss (at least 60 %); Alpaca has taken none. P/L -5.00 (close now -6.00).')).toBe(
      'the loss was 91 to 92 % of the maximum loss (at least 60 %) at 10:31:00 ET; Alpaca has taken none.',
    )
    expect(text('the short put 740 is 1.43 (0.19 %) away, NEAR 741.43.', { since: '2026-11-18T15:31:00Z' })).toBe(
      'the short put 740 was 1.43 (0.19 %) away, NEAR 741.43 at Wed, Nov 18, 10:31:00 ET.',
    )
    for (const lasting of ['this condor has lost 1 of its 2 long puts 705.', 'it cannot be watched, as its P/L is not known.']) expect(text(lasting)).toBe(lasting)
  })

  it('has the time since which no orders are taken, once it has passed', () => {
    const source = 'config' as const
    const cutoffs = [{ kind: 'orders' as const, at: '2026-11-20T15:30:00Z', source }, { kind: 'liquidation' as const, at: '2026-11-20T15:15:00Z', source }]
    const held = { ...near, expiry: { ...near.expiry!, cutoffs } }
    const one = on(near, 'r', { text: 'NEAR 1: Alpaca takes orders for it until 10:30 ET (as configured) and may liquidate it from 10:15.' })
    expect(afterCutoffs('NEAR 1: Alpaca may liquidate it from 10:15 ET on Nov 20.', held, Date.parse('2026-11-20T15:15:00Z'))).toBe('NEAR 1: Alpaca may liquidate it at any time.')
    const textAt = (now: string) => currentOf(one, { ...NOTHING, condors: mapOf([held]), now: Date.parse(now) }).text
    expect(textAt('2026-11-20T15:14:00Z')).toBe('Alpaca takes orders for it until 10:30 ET (as configured) and may liquidate it from 10:15.')
    expect(textAt('2026-11-20T15:15:00Z')).toBe('Alpaca takes orders for it until 10:30 ET (as configured) and may liquidate it at any time.')
    expect(textAt('2026-11-20T15:30:00Z')).toBe('Alpaca has taken no orders for it since 10:30 ET (as configured) and may liquidate it at any time.')
  })

  it('has a price and a profit or loss that are marked where they may be old', () => {
    const text = 'NEAR: the short put 705 is breached, NEAR 704.10. P/L -1.00.'
    const alerts = mapOf([on(near, 'breached', { text })])
    const old = { ...near, valuation: { ...near.valuation, unconfirmed: true } }
    const of = (changes: object, held = near, price: object = {}) => {
      const underlyings = new Map([[near.underlying, { ...account('x').underlyings[0]!, symbol: near.underlying, price: 741.51, ...price }]])
      const [entry] = entriesOf({ ...NOTHING, alerts, condors: mapOf([held]), underlyings, ...changes })
      return [entry!.needs[0]!.text.replace(/.*has been breached, NEAR 704.10 at 10:31:00 ET/, ''), entry!.isOld]
    }
    expect(of({})).toEqual([', now 741.51.', false])
    expect(of({}, near, { unconfirmed: true })).toEqual([', now 741.51 (unconfirmed).', false])
    expect(of({}, near, { reason: 'stale' })).toEqual([', now 741.51 (unconfirmed).', false])
    expect(of({}, old)).toEqual([', now 741.51.', true])
    expect(of({ link: { ...OPEN, state: 'reconnecting' } })).toEqual([', now 741.51 (unconfirmed).', true])
    expect(of({ status: status({ state: 'stale' }) })).toEqual([', now 741.51 (unconfirmed).', true])
    expect(of({ status: status({ state: 'closed' }) })).toEqual([', now 741.51.', false])
  })

  it('leaves out alerts that only inform or no longer fire', () => {
    expect(entries([on(near, 'days-left', { severity: 'info' }), on(near, 'tested', { state: 'resolved' })], [near])).toEqual([])
  })

  it('counts as acknowledged only if all of its alerts are', () => {
    const done = on(near, 'tested', { acknowledgedAt: AS_OF })
    expect(entries([done], [near])[0]!.isAcknowledged).toBe(true)
    expect(entries([done, on(near, 'breached')], [near])[0]!.isAcknowledged).toBe(false)
    expect([isUnanswered(done), isUnanswered(on(near, 'breached'))]).toEqual([false, true])
  })

  it('lists unacknowledged entries first within a severity', () => {
    const done = on(near, 'breached', { severity: 'critical', acknowledgedAt: AS_OF })
    const found = entries([done, on(near, 'stop', { severity: 'critical' }), on(far, 'tested')], [near, far])
    expect(found[0]!.needs.map(({ text }) => text)).toEqual(['stop holds.', 'breached holds.'])
    expect(entries([done, on(near, 'tested'), on(far, 'stop', { severity: 'critical' })], [near, far]).map(({ key }) => key)).toEqual([far.id, near.id])
  })

  it('includes a broken condor whether or not a rule reports it', () => {
    const lost = { ...broken('LOST', { A: 1 }), root: 'LOST', unrealizedPl: -40 }
    expect(entries([], [], [lost])).toEqual([
      {
        key: 'LOST',
        condorId: 'LOST',
        name: expect.stringMatching(/^LOST 705 [A-Z][a-z]{2} /),
        needs: [{ severity: 'critical', text: 'this condor has lost 1 of its 2 long puts 705.', alert: null }],
        pl: -40,
        isOld: false,
        isAcknowledged: false,
      },
    ])
    const firing = alert('broken-condor:LOST', { condorId: 'LOST', severity: 'critical', text: 'LOST 705: a leg went.' })
    expect(entries([firing], [], [lost])[0]!.needs.map(({ text }) => text)).toEqual(['a leg went.'])
    expect(entries([alert('uncovered-short:LOST', { condorId: 'LOST' })], [], [lost])[0]!.needs).toHaveLength(2)
  })
})

it('a partly broken condor has one entry for its broken units and one for the others', () => {
  const held = condor()
  const { id } = held
  const lost = { ...broken(id, { A: 0 }, 1), unrealizedPl: -40 }
  const firing = on(held, 'broken-condor', { severity: 'critical' })
  const found = entries([firing, on(held, 'tested')], [held], [lost])
  expect(found.map(({ key, condorId, pl, needs }) => [key, condorId, pl, needs.length])).toEqual([
    [`${id}:broken`, id, -40, 1],
    [id, id, held.valuation.unrealizedPl, 1],
  ])
  expect(entries([], [held], [lost]).map(({ key, pl }) => [key, pl])).toEqual([[`${id}:broken`, -40]])
  const cutoffs = [{ kind: 'orders', at: AS_OF, source: 'config' }] as never
  const over = { ...lost, id: 'OVER', expiry: { ...held.expiry!, cutoffs } }
  expect(entries([], [], [over, lost]).map(({ key }) => key)).toEqual([id, 'OVER'])
  expect(entries([firing], [held], []).map(({ key, pl }) => [key, pl])).toEqual([[`${id}:broken`, null]])
})

describe('the sentence of an alert', () => {
  it('separates its subject and its profit or loss, which moves', () => {
    const text = 'IWM 275/280 Dec 4: the profit is 79.9 %. P/L 166.00 (close now 162.00).'
    expect(split(alert('a', { text }))).toEqual({ name: 'IWM 275/280 Dec 4', text: 'the profit is 79.9 %.' })
    expect(split(alert('a', { text: 'X: it expires. P/L not known.' })).text).toBe('it expires.')
    expect(split(alert('a', { text: 'X: expires today; trading ends at 16:15 ET (1 condor).' })).text).toBe('expires today; trading ends at 16:15 ET.')
    expect(split(alert('a', { text: 'X: it cannot be watched, as its P/L is not known.' })).text).toBe('it cannot be watched, as its P/L is not known.')
    expect(split(alert('a', { text: 'no subject' }))).toEqual({ name: 'SPY', text: 'no subject' })
  })
})

describe('the message that nothing needs the owner', () => {
  const doubt = (document = account('e-1') as ReturnType<typeof account> | null, link = OPEN) =>
    doubtOf({ document, link, status: document?.status ?? null })
  const withStatus = (changes: Parameters<typeof status>[0]) => doubt(account('e-1', [], { status: status(changes) }))

  it('is known while prices and positions are', () => {
    expect(doubt()).toBeNull()
    expect(withStatus({ state: 'closed' })).toBeNull()
  })

  it('is not known without a document, a connection, a feed or an account', () => {
    expect(doubt(null)).toBe('condord has not answered yet')
    expect(doubt(account('e-1'), { ...OPEN, state: 'reconnecting' })).toBe('the page is not connected to condord')
    expect(withStatus({ positions: UNREAD })).toBe('the account has not been read yet')
    for (const state of ['stale', 'reconnecting', 'halted', 'starting'] as const) {
      expect(withStatus({ state })).toBe('prices are not current')
    }
    const error = { code: 'unreachable', text: 'no answer' }
    expect(withStatus({ positions: { readAt: AS_OF, error, breaker: 'open' } })).toBe('the account cannot be read')
    expect(doubt({ ...account('e-1'), alerts: undefined as never })).toBe('this condord does not report alerts')
  })
})

it('a notice is left out if a firing alert reports the same of the same condor', () => {
  const held = condor()
  const notice: Notice = { code: 'expiresToday', text: 'x', symbols: [], condorId: held.id, since: AS_OF }
  const firing = on(held, 'expires-today')
  expect(noticesBeside([notice], [firing])).toEqual([])
  expect(noticesBeside([notice], [{ ...firing, state: 'ended' }])).toEqual([notice])
  expect(noticesBeside([{ ...notice, condorId: 'OTHER' }], [firing])).toHaveLength(1)
  expect(noticesBeside([{ ...notice, code: 'ordersUnavailable' }], [firing])).toHaveLength(1)
})
