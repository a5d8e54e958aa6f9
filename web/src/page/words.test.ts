import { describe, expect, it } from 'vitest'
import { AS_OF, condor, status } from '../../tests/account'
import type { Notice, Status, Unmatched } from '../document'
import type { Link } from '../live'
import { gapSentence, noticeSentence, retrySentence, sourceSentence, standing, title } from './words'

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

  it('says since when the account could not be read', () => {
    const positions = { readAt: '2026-11-20T15:30:02Z', error: { code: 'x', text: 'no answer' }, breaker: 'open' as const }
    expect(told({ positions }).details.slice(-2)).toEqual([
      'The account cannot be read: No answer.',
      'Last read at 10:30:02 EST.',
    ])
  })

  it('is cut off until the page has the token, where the daemon asks for it', () => {
    const asks = 'The daemon asks for its token. Open this page again as …/?token=TOKEN.'
    expect(standing(CUT, status(), NOW, true).details).toEqual(['What is shown is from 10:30:55 EST.', asks])
    expect(standing(CUT, null, NOW, true).details).toEqual([asks])
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

  it('has no such word where only the account cannot be read', () => {
    const positions = { readAt: AS_OF, error: { code: 'x', text: 'no answer' }, breaker: 'open' as const }
    expect(title(OPEN, status({ positions }), '▲ +1.00')).toBe('▲ +1.00 · condord')
  })
})

describe('the next attempt', () => {
  it('is told until it is made', () => {
    expect(retrySentence(CUT, NOW)).toBe('Next attempt at 10:31:01 EST.')
    expect(retrySentence(CUT, NOW + 1000)).toBeNull()
    expect(retrySentence(OPEN, NOW)).toBeNull()
  })
})

describe('a notice', () => {
  const loose = { symbol: 'L', underlying: 'AMD', expiration: '2027-01-15' } as Unmatched
  const odd = { symbol: 'ODD', underlying: null, expiration: null } as Unmatched
  const held = [condor('SPY'), condor('QQQ')]
  const shown = {
    condors: new Map(held.map((each) => [each.id, each])),
    unmatched: new Map([loose, odd].map((each) => [each.symbol, each])),
  }
  const said = (text: string, symbols: string[]) => {
    const notice: Notice = { code: 'brokenCondor', text, symbols, since: AS_OF }
    return noticeSentence(notice, shown)
  }
  const legsOf = (at: number) => held[at]!.legs.map(({ symbol }) => symbol)

  it('names whose it is, once each', () => {
    expect(said('two legs went', legsOf(1).slice(2))).toBe('QQQ Dec 18, 2026: Two legs went.')
    expect(said('a leg went', ['L'])).toBe('AMD Jan 15, 2027: A leg went.')
    expect(said('8 contracts expire today', [...legsOf(1), ...legsOf(0)])).toBe(
      'SPY Dec 18, 2026, QQQ Dec 18, 2026: 8 contracts expire today.',
    )
  })

  it('is a sentence alone where nothing is held of which it is', () => {
    expect(said('no orders', [])).toBe('No orders.')
    expect(said('it is gone.', ['GONE', 'ODD'])).toBe('It is gone.')
  })
})

it('names the gap in what was heard', () => {
  const gap = { from: NOW - 5000, until: NOW }
  expect(gapSentence(gap, NOW)).toBe('Connected again. Nothing was heard from 10:30:55 EST to 10:31:00 EST.')
})

it('names the account and the feed', () => {
  expect(sourceSentence(status({ source: 'alpaca-live', feed: 'opra' }))).toBe('Alpaca live account, opra feed')
})
