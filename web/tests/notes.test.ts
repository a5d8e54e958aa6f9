import { describe, expect, it } from 'vitest'
import type { Notice, Status } from '../src/document'
import { notesOn, type Around } from '../src/notes'
import { AS_OF, condor, quote, status, valuation } from './account'

const NOW = Date.parse(AS_OF)
const PUT = condor().legs[0]!.symbol
const SINCE = '2026-11-20T19:31:02Z'

const around = (changes: Partial<Around> = {}): Around => ({
  status: status(),
  link: { state: 'open', since: NOW, retryAt: null },
  quotes: new Map(),
  arrivals: new Map(),
  now: NOW,
  ...changes,
})
const feed = (changes: Partial<Status>) => notesOn(condor(), around({ status: status({ since: SINCE, ...changes }) }))

describe('a card says', () => {
  it('nothing while all is well', () => {
    expect(notesOn(condor(), around())).toEqual([])
  })

  it('since when there is no connection to the daemon', () => {
    const link = { state: 'reconnecting', since: Date.parse(SINCE), retryAt: null } as const
    expect(notesOn(condor(), around({ link }))).toEqual([
      { look: 'lost', text: 'No connection to condord since 14:31:02 EST' },
    ])
  })

  it('that the market is closed, and when it opens', () => {
    expect(feed({ state: 'closed' })).toEqual([
      { look: 'closed', text: 'Market closed, opens Mon, Nov 23, 09:30:00 EST' },
    ])
  })

  it.each([
    ['stale', 'stale', 'Feed silent'],
    ['reconnecting', 'stale', 'Feed lost'],
    ['starting', 'stale', 'Feed starting'],
    ['halted', 'halted', 'Feed halted'],
  ] as const)('what is the matter with the feed (%s)', (state, look, text) => {
    expect(feed({ state, reason: 'the key was refused' })).toEqual([
      { look, text: `${text} since 14:31:02 EST: the key was refused` },
    ])
  })

  it('which legs are missing, and between what the profit or loss lies', () => {
    const value = valuation('x', { missing: [PUT], plBounds: { low: -120, high: 80 } })
    expect(notesOn(condor('SPY', { valuation: value }), around())).toEqual([
      { look: 'incomplete', text: 'Leg missing: no quote for 705 put; P/L from −120.00 to +80.00' },
    ])
  })

  it('since when the oldest of its unconfirmed quotes is', () => {
    const quotes = new Map([[PUT, quote(PUT, { unconfirmed: true, time: SINCE })]])
    const each = condor('SPY', { valuation: valuation('x', { unconfirmed: true }) })
    expect(notesOn(each, around({ quotes }))).toEqual([{ look: 'stale', text: 'Unconfirmed since 14:31:02 EST' }])
    expect(notesOn(each, around())).toEqual([{ look: 'stale', text: 'Unconfirmed' }])
  })

  it('what is broken, by the notices on its legs and their problems', () => {
    const notice: Notice = { code: 'brokenCondor', text: 'two legs went', symbols: [PUT], since: SINCE }
    const legs = condor().legs.map((leg, at) => (at === 1 ? { ...leg, problem: 'adjusted contract' } : leg))
    const notes = notesOn(condor('SPY', { legs }), around({ status: status({ notices: [notice] }) }))
    expect(notes).toEqual([
      { look: 'broken', text: 'Broken: two legs went' },
      { look: 'broken', text: 'Broken: 715 put: adjusted contract' },
    ])
  })

  it('since when the account cannot be read', () => {
    const error = { code: 'unreachable', text: 'no answer' }
    expect(feed({ positions: { readAt: SINCE, error, breaker: 'open' } })).toEqual([
      { look: 'notice', text: 'The account cannot be read; last read at 14:31:02 EST' },
    ])
    expect(feed({ positions: { readAt: null, error, breaker: 'open' } })).toEqual([])
  })

  it('which mid is a last good one, and why, so also why there is no price to close at', () => {
    const [first, second, third] = condor().legs.map(({ symbol }) => symbol)
    const quotes = new Map([
      [first!, quote(first!, { state: 'stub' })],
      [second!, quote(second!, { state: 'crossed' })],
      [third!, quote(third!, { state: 'stub', mark: null })],
    ])
    expect(notesOn(condor(), around({ quotes }))).toEqual([
      { look: 'notice', text: 'Mid of 705 put is its last good one: stub quote' },
      { look: 'notice', text: 'Mid of 715 put is its last good one: crossed, no price to close at' },
    ])
  })

  it('nothing of notices on other contracts', () => {
    const notice: Notice = { code: 'expiresToday', text: 'expires', symbols: ['OTHER'], since: SINCE }
    expect(feed({ notices: [notice] })).toEqual([])
    expect(feed({ notices: [{ ...notice, symbols: [PUT] }] })).toEqual([{ look: 'notice', text: 'expires' }])
  })

  it('for a minute that it is new', () => {
    expect(notesOn(condor(), around({ arrivals: new Map([[condor().id, NOW - 60_000]]) }))).toEqual([
      { look: 'new', text: 'New since 10:30:00 EST' },
    ])
    expect(notesOn(condor(), around({ arrivals: new Map([[condor().id, NOW - 60_001]]) }))).toEqual([])
  })

  it('the most serious first', () => {
    const value = valuation('x', { missing: [PUT], unconfirmed: true })
    const each = condor('SPY', { valuation: value, ambiguous: true })
    const link = { state: 'reconnecting', since: NOW, retryAt: null } as const
    const all = around({ link, status: status({ state: 'closed' }), arrivals: new Map([[condor().id, NOW]]) })
    expect(notesOn(each, all).map((note) => note.look)).toEqual(['lost', 'incomplete', 'stale', 'closed', 'new', 'notice'])
  })
})
