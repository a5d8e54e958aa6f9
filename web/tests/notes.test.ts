import { describe, expect, it } from 'vitest'
import type { Condor, Notice, Status } from '../src/document'
import { lookOf, notesOn, type Context, type Note } from '../src/notes'
import { AS_OF, condor, quote, risk, status, valuation } from './account'

const NOW = Date.parse(AS_OF)
const PUT = condor().legs[0]!.symbol
const SINCE = '2026-11-20T19:31:02Z'

const around = (changes: Partial<Context> = {}): Context => ({
  status: status(),
  link: { state: 'open', since: NOW, retryAt: null },
  quotes: new Map(),
  arrivals: new Map(),
  now: NOW,
  ...changes,
})
const feed = (changes: Partial<Status>) => notesOn(condor(), around({ status: status({ since: SINCE, ...changes }) }))

describe('the notes of a card', () => {
  it('are empty while there is no problem', () => {
    expect(notesOn(condor(), around())).toEqual([])
  })

  it('have the time of the loss of the connection to the daemon', () => {
    const link = { state: 'reconnecting', since: Date.parse(SINCE), retryAt: null } as const
    expect(notesOn(condor(), around({ link }))).toEqual([
      { look: 'stale', text: 'No connection to condord since 14:31:02 ET' },
    ])
  })

  it('explain why there is no connection, unless the daemon just does not answer', () => {
    const since = Date.parse(SINCE)
    const lost = (code: 'origin' | 'unreachable') =>
      notesOn(condor(), around({ link: { state: 'reconnecting', since, retryAt: null, error: { code, message: 'It does not run.' } } }))
    expect(lost('origin')).toEqual([{ look: 'stale', text: 'No connection to condord since 14:31:02 ET. It does not run.' }])
    expect(lost('unreachable')).toEqual([{ look: 'stale', text: 'No connection to condord since 14:31:02 ET' }])
  })

  it('report that the market is closed, and when it opens', () => {
    expect(feed({ state: 'closed' })).toEqual([
      { look: 'closed', text: 'Market closed, opens Mon, Nov 23, 09:30:00 ET' },
    ])
  })

  it.each([
    ['stale', 'stale', 'Feed silent'],
    ['reconnecting', 'stale', 'Feed lost'],
    ['starting', 'stale', 'Feed starting'],
    ['halted', 'halted', 'Feed halted'],
  ] as const)('what is the matter with the feed (%s)', (state, look, text) => {
    expect(feed({ state, reason: 'the key was refused' })).toEqual([
      // The reason stands in the banner.
      { look, text: `${text} since 14:31:02 ET` },
    ])
  })

  it('name the missing legs, and the bounds of the profit or loss', () => {
    const value = valuation('x', { missing: [PUT], plBounds: { low: -120, high: 80 } })
    expect(notesOn(condor('SPY', { valuation: value }), around())).toEqual([
      { look: 'incomplete', text: 'Leg missing: no quote for 705 put; P/L from −$120.00 to +$80.00' },
    ])
  })

  it('have the time of the oldest unconfirmed quote', () => {
    const quotes = new Map([[PUT, quote(PUT, { unconfirmed: true, time: SINCE })]])
    const unconfirmed = condor('SPY', { valuation: valuation('x', { unconfirmed: true }) })
    expect(notesOn(unconfirmed, around({ quotes }))).toEqual([{ look: 'stale', text: 'Unconfirmed since 14:31:02 ET' }])
    expect(notesOn(unconfirmed, around())).toEqual([{ look: 'stale', text: 'Unconfirmed' }])
  })

  it('report a broken condor, from notices on its legs and their problems', () => {
    const notice: Notice = { code: 'brokenCondor', text: 'two legs went', symbols: [PUT], condorId: null, since: SINCE }
    const legs = condor().legs.map((leg, at) => (at === 1 ? { ...leg, problem: 'adjusted contract' } : leg))
    const notes = notesOn(condor('SPY', { legs }), around({ status: status({ notices: [notice] }) }))
    expect(notes).toEqual([
      { look: 'broken', text: 'Broken: two legs went' },
      { look: 'broken', text: 'Broken: 715 put: adjusted contract' },
    ])
  })

  it('have the time since which the account cannot be read', () => {
    const error = { code: 'unreachable', text: 'no answer' }
    expect(feed({ positions: { readAt: SINCE, error, breaker: 'open' } })).toEqual([
      { look: 'notice', text: 'The account cannot be read; last read at 14:31:02 ET' },
    ])
    expect(feed({ positions: { readAt: null, error, breaker: 'open' } })).toEqual([])
  })

  it('name the mid that is the last good one, and the reason', () => {
    const [first, second, third] = condor().legs.map(({ symbol }) => symbol)
    const quotes = new Map([
      [first!, quote(first!, { state: 'stub' })],
      [second!, quote(second!, { state: 'crossed' })],
      [third!, quote(third!, { state: 'stub', mark: null })],
    ])
    expect(notesOn(condor(), around({ quotes }))).toEqual([
      { look: 'notice', text: 'Mid of 705 put is the last good one: stub quote' },
      { look: 'notice', text: 'Mid of 715 put is the last good one: crossed, no price to close at' },
    ])
  })

  it('leave out notices on other contracts', () => {
    const notice: Notice = { code: 'expiresToday', text: 'expires', symbols: ['OTHER'], condorId: null, since: SINCE }
    expect(feed({ notices: [notice] })).toEqual([])
    expect(feed({ notices: [{ ...notice, symbols: [PUT] }] })).toEqual([{ look: 'notice', text: 'expires' }])
  })

  it('leave out the notice of an expiration to whose cut-offs the card counts down', () => {
    const notice: Notice = { code: 'expiresToday', text: 'expires', symbols: [PUT], condorId: null, since: SINCE }
    const cutoffs = [{ kind: 'orders', at: SINCE, source: 'config' } as const]
    const expiring = condor('SPY', { expiry: { ...condor().expiry!, cutoffs } })
    expect(notesOn(expiring, around({ status: status({ notices: [notice] }) }))).toEqual([])
  })

  it('include notices for its own id, but not for another condor with the same contracts', () => {
    const id = condor().id
    const notice: Notice = { code: 'expired', text: `${id}: expired`, symbols: [PUT], condorId: id, since: SINCE }
    const other = { ...notice, text: `${id}-2: expired`, condorId: `${id}-2` }
    expect(feed({ notices: [notice, other] })).toEqual([{ look: 'notice', text: 'Expired' }])
  })

  it('report for a minute that it is new', () => {
    expect(notesOn(condor(), around({ arrivals: new Map([[condor().id, NOW - 60_000]]) }))).toEqual([
      { look: 'new', text: 'New since 10:30:00 ET' },
    ])
    expect(notesOn(condor(), around({ arrivals: new Map([[condor().id, NOW - 60_001]]) }))).toEqual([])
  })

  it('are ordered by severity', () => {
    const value = valuation('x', { missing: [PUT], unconfirmed: true })
    const ambiguous = condor('SPY', { valuation: value, ambiguous: true })
    const link = { state: 'reconnecting', since: NOW, retryAt: null } as const
    const all = around({ link, status: status({ state: 'closed' }), arrivals: new Map([[condor().id, NOW]]) })
    expect(notesOn(ambiguous, all).map((note) => note.look)).toEqual(['stale', 'stale', 'incomplete', 'closed', 'new', 'notice'])
  })
})

describe('the look of a card', () => {
  const note = (look: Note['look']) => ({ look, text: '' })
  const tested = condor('SPY', { risk: risk('x', { tested: 'put' }) })
  const breached = condor('SPY', { risk: risk('x', { tested: 'put', breached: true }) })

  it.each([
    ['broken', breached, ['halted', 'broken']],
    ['breached', breached, ['halted', 'stale']],
    ['halted', tested, ['stale', 'halted']],
    ['stale', tested, ['incomplete', 'stale']],
    ['incomplete', tested, ['incomplete', 'new']],
    ['tested', tested, ['new', 'closed']],
    ['new', condor(), ['closed', 'new']],
    ['closed', condor(), ['closed', 'notice']],
    ['live', condor(), ['notice']],
  ] as const)('is %s before the looks later in this list', (look, shown, notes) => {
    expect(lookOf(shown, notes.map(note))).toBe(look)
  })

  it('is live for an older daemon, which sends no risk', () => {
    const { risk: _, ...older } = condor()
    expect(lookOf(older as Condor, [])).toBe('live')
  })
})
