import { describe, expect, it } from 'vitest'
import { AS_OF, status } from '../../tests/account'
import type { Status } from '../document'
import type { Link } from '../live'
import { gapSentence, sourceSentence, standing, title } from './words'

const NOW = Date.parse(AS_OF)
const OPEN: Link = { state: 'open', since: NOW - 60_000, retryAt: null }
const CUT: Link = { state: 'reconnecting', since: NOW - 5000, retryAt: NOW + 1000 }
const told = (changes: Partial<Status>, link = OPEN) => standing(link, status(changes), NOW)

describe('how things stand', () => {
  it('is live, with the market', () => {
    expect(told({})).toEqual({ tone: 'good', headline: 'Live', details: ['Market open until 16:00:00 EST.'] })
  })

  it('is closed, with when the market opens', () => {
    const market = { isOpen: false, nextOpen: '2026-11-23T14:30:00Z', nextClose: null }
    const { tone, headline, details } = told({ state: 'closed', market })
    expect([tone, headline]).toEqual(['quiet', 'Market closed'])
    expect(details).toEqual(['Market opens Mon, Nov 23, 09:30:00 EST.'])
  })

  it('says nothing of a market that nothing is known of', () => {
    expect(told({ market: { isOpen: null, nextOpen: null, nextClose: null } }).details).toEqual([])
  })

  it.each(['stale', 'reconnecting', 'halted'] as const)('is bad where the stream is %s, with the reason and since when', (state) => {
    const { tone, details } = told({ state, reason: 'the feed is silent', since: '2026-11-20T15:30:02Z' })
    expect(tone).toBe('bad')
    expect(details.slice(0, 2)).toEqual(['The feed is silent.', 'Since 10:30:02 EST.'])
  })

  it('is bad where the account cannot be read', () => {
    const positions = { readAt: null, error: { code: 'unreachable', text: 'no answer' }, breaker: 'open' as const }
    expect(told({ positions }).tone).toBe('bad')
    expect(told({ positions }).details.at(-1)).toBe('The account cannot be read: No answer.')
  })

  it('is cut off before all else, with since when', () => {
    const { tone, headline, details } = told({ state: 'halted' }, CUT)
    expect([tone, headline]).toEqual(['bad', 'Cut off from condord since 10:30:55 EST'])
    expect(details).toEqual(['What is shown is from 10:30:55 EST; it goes on by itself.'])
  })

  it('is connecting at first', () => {
    const first: Link = { state: 'connecting', since: NOW, retryAt: null }
    expect(standing(first, null, NOW).headline).toBe('Connecting to condord')
    expect(standing(CUT, null, NOW).details).toEqual(['It is tried again.'])
  })

  it('stays the same while nothing but time goes on', () => {
    expect(standing(CUT, status(), NOW + 30_000)).toEqual(standing(CUT, status(), NOW))
  })
})

describe('the title of the tab', () => {
  it('is the sum, with a word where its prices are old', () => {
    expect(title(OPEN, null, '—')).toBe('condord')
    expect(title(OPEN, status(), '▲ +1.00')).toBe('▲ +1.00 · condord')
    expect(title(OPEN, status({ state: 'closed' }), '▲ +1.00')).toBe('▲ +1.00 · condord')
    expect(title(OPEN, status({ state: 'stale' }), '▲ +1.00')).toBe('(old) ▲ +1.00 · condord')
    expect(title(CUT, status(), '▲ +1.00')).toBe('(old) ▲ +1.00 · condord')
  })
})

it('names the gap in what was heard', () => {
  const gap = { from: NOW - 5000, until: NOW }
  expect(gapSentence(gap, NOW)).toBe('Connected again. Nothing was heard from 10:30:55 EST to 10:31:00 EST.')
})

it('names the account and the feed', () => {
  expect(sourceSentence(status({ source: 'alpaca-live', feed: 'opra' }))).toBe('Alpaca live account, opra feed')
})
