import { describe, expect, it } from 'vitest'
import { AS_OF, condor, status, underlying } from '../../tests/account'
import type { Notice, Status, Unmatched } from '../document'
import type { Link } from '../live'
import { noticeSentence } from './notices'
import { gapSentence, marketWords, retrySentence, sourceWords, standing, title, unconfirmed } from './words'

const NOW = Date.parse(AS_OF)
const OPEN: Link = { state: 'open', since: NOW - 60_000, retryAt: null }
const CUT: Link = { state: 'reconnecting', since: NOW - 5000, retryAt: NOW + 1000 }
const standingOf = (changes: Partial<Status>, link = OPEN) => standing(link, status(changes), NOW)

describe('the state', () => {
  it('is one word while everything is as it should be', () => {
    expect(standingOf({})).toEqual({ tone: 'good', headline: 'Live', details: [] })
    expect(standingOf({ state: 'closed' })).toEqual({ tone: 'quiet', headline: 'Market closed', details: [] })
  })

  it('draws attention to a reason although it is live', () => {
    const limit = { code: 'symbolLimit', reason: '4 symbols are not streamed' } as const
    expect(standingOf(limit)).toEqual({ tone: 'warn', headline: 'Live', details: ['4 symbols are not streamed.'] })
  })

  it('names the cause if the stream is not live', () => {
    expect(standingOf({ state: 'reconnecting', code: 'connectionLimit' }).headline).toBe('Another program has the stream')
    expect(standingOf({ state: 'reconnecting', code: 'unreachable' }).headline).toBe('No connection to Alpaca')
    expect(standingOf({ state: 'halted', code: 'authFailed' }).headline).toBe('Alpaca refuses the key')
    expect(standingOf({ state: 'reconnecting', code: 'sourceLost' }).headline).toBe('The relay has lost its source')
    expect(standingOf({ state: 'reconnecting', code: 'busLost' }).headline).toBe('No connection to the bus')
    expect(standingOf({ state: 'reconnecting', code: 'leaderLost' }).headline).toBe('No ingester leads')
    expect(standingOf({ state: 'reconnecting', code: 'silent' }).headline).toBe('Reconnecting')
    expect(standingOf({ state: 'stale', code: 'silent' }).headline).toBe('Prices are old')
    expect(standingOf({ state: 'starting', code: 'unreachable' }).headline).toBe('Starting')
  })

  it.each(['stale', 'reconnecting', 'halted'] as const)('is bad if the stream is %s, with the reason and the time', (state) => {
    const { tone, details } = standingOf({ state, reason: 'the feed is silent', since: '2026-11-20T15:30:02Z' })
    expect(tone).toBe('bad')
    expect(details.slice(0, 2)).toEqual(['The feed is silent.', 'Since 10:30:02 ET.'])
  })

  it('claims nothing about prices while the account cannot be read', () => {
    const error = { code: 'unreachable', text: 'no answer' }
    const read = { readAt: '2026-11-20T15:30:02Z', error, breaker: 'open' } as const
    expect(standingOf({ positions: read })).toEqual({
      tone: 'warn',
      headline: 'Account not read',
      details: ['No answer.', 'It was last read at 10:30:02 ET.'],
    })
    expect(standingOf({ positions: { ...read, readAt: null } }).tone).toBe('bad')
    expect(standingOf({ state: 'closed', positions: read }).details[0]).toBe('The market is closed.')
  })

  it('gives the same reason of stream and account once', () => {
    const positions = { readAt: null, error: { code: 'unreachable', text: 'no answer' }, breaker: 'open' } as const
    const both = standingOf({ state: 'reconnecting', code: 'unreachable', reason: 'no answer', since: AS_OF, positions })
    expect(both.details).toEqual(['No answer.', 'Since 10:31:00 ET.', 'For the same reason the account cannot be read.'])
    const other = standingOf({ state: 'stale', reason: 'silent', since: AS_OF, positions })
    expect(other.details.at(-1)).toBe('The account cannot be read: No answer.')
  })

  it('is not connected until the page has the required token', () => {
    const refused: Link = { ...CUT, state: 'refused' }
    const headline = 'Not connected to condord'
    const why = 'The token is missing or wrong.'
    expect(standing(refused, null, NOW)).toEqual({ tone: 'quiet', headline, details: [why] })
    expect(standing(refused, status(), NOW)).toEqual({ tone: 'bad', headline, details: ['The page shows data from 10:30:55 ET.', why] })
    expect(title(refused, status(), '▲ +1.00')).toBe('(old) ▲ +1.00 · condord')
  })

  it('shows a lost connection first of all, with its time', () => {
    const { tone, headline, details } = standingOf({ state: 'halted' }, CUT)
    expect([tone, headline]).toEqual(['bad', 'No connection to condord since 10:30:55 ET'])
    expect(details).toEqual(['The page shows data from 10:30:55 ET and reconnects by itself.'])
  })

  it('is connecting at first', () => {
    const first: Link = { state: 'connecting', since: NOW, retryAt: null }
    expect(standing(first, null, NOW).headline).toBe('Connecting to condord')
    expect(standing(CUT, null, NOW).details).toEqual(['The page reconnects by itself.'])
  })

  it('does not change with time only', () => {
    expect(standing(CUT, status(), NOW + 30_000)).toEqual(standing(CUT, status(), NOW))
  })
})

it('prices of underlyings are doubted where no source confirms them, not where one does not trade', () => {
  const doubted = (...doubts: boolean[]) =>
    unconfirmed({ condors: [condor()], underlyings: doubts.map((unconfirmed, at) => underlying(`S${at}`, { unconfirmed })) })
  expect([doubted(), doubted(false), doubted(true, false)]).toEqual([null, null, null])
  expect(doubted(true, true)).toBe('the prices of the underlyings are not confirmed')
  expect(unconfirmed({ condors: [], underlyings: [underlying('A', { price: null, unconfirmed: true })] })).toBeNull()
})

describe('the title of the tab', () => {
  it('is the total, marked if prices are old', () => {
    expect(title(OPEN, null, '—')).toBe('condord')
    expect(title(OPEN, status(), '▲ +1.00')).toBe('▲ +1.00 · condord')
    expect(title(OPEN, status({ state: 'closed' }), '▲ +1.00')).toBe('▲ +1.00 · condord')
    expect(title(OPEN, status({ state: 'stale' }), '▲ +1.00')).toBe('(old) ▲ +1.00 · condord')
    expect(title(CUT, status(), '▲ +1.00')).toBe('(old) ▲ +1.00 · condord')
  })

  it('is not marked if only the account cannot be read', () => {
    const positions = { readAt: AS_OF, error: { code: 'x', text: 'no answer' }, breaker: 'open' as const }
    expect(title(OPEN, status({ positions }), '▲ +1.00')).toBe('▲ +1.00 · condord')
  })
})

describe('the next attempt', () => {
  it('is shown until it is made', () => {
    expect(retrySentence(CUT, NOW)).toBe('Next attempt at 10:31:01 ET.')
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
  const shownNotice = (text: string, symbols: string[]) => {
    const notice: Notice = { code: 'brokenCondor', text, symbols, condorId: null, since: AS_OF }
    return noticeSentence(notice, shown)
  }
  const legsOf = (at: number) => held[at]!.legs.map(({ symbol }) => symbol)

  it('names its subjects, each once', () => {
    expect(shownNotice('two legs went', legsOf(1).slice(2))).toBe('QQQ Dec 18, 2026: Two legs went.')
    expect(shownNotice('a leg went', ['L'])).toBe('AMD Jan 15, 2027: A leg went.')
    expect(shownNotice('8 contracts expire today', [...legsOf(1), ...legsOf(0)])).toBe(
      'SPY Dec 18, 2026, QQQ Dec 18, 2026: 8 contracts expire today.',
    )
  })

  it('does not repeat a name at the start of its text', () => {
    const id = held[0]!.id
    const notice: Notice = { code: 'expired', text: `${id}: expired`, symbols: legsOf(0), condorId: id, since: AS_OF }
    expect(noticeSentence(notice, shown)).toBe(`${id}: expired.`)
    const loosely: Notice = { ...notice, text: 'AMD 2027-01-15: expired', symbols: ['L'], condorId: null }
    expect(noticeSentence(loosely, shown)).toBe('AMD Jan 15, 2027: Expired.')
    expect(noticeSentence({ ...loosely, symbols: [] }, shown)).toBe('AMD 2027-01-15: expired.')
  })

  it('is only its text if none of its contracts is held', () => {
    expect(shownNotice('no orders', [])).toBe('No orders.')
    expect(shownNotice('it is gone.', ['GONE', 'ODD'])).toBe('It is gone.')
  })
})

it('the gap has its start and end', () => {
  const gap = { from: NOW - 5000, until: NOW }
  expect(gapSentence(gap, NOW)).toBe('Connected again. No data was received from 10:30:55 ET to 10:31:00 ET.')
})

it('the source is the feed and the account', () => {
  expect(sourceWords(status({ source: 'alpaca-live', feed: 'opra' }))).toBe('opra · live account')
})

it('the market is named by when it changes next', () => {
  const market = (isOpen: boolean | null, nextOpen: string | null, nextClose: string | null) =>
    marketWords(status({ market: { isOpen, nextOpen, nextClose } }), NOW)
  expect(market(true, null, '2026-11-20T21:15:00Z')).toBe('closes by 16:15')
  expect(market(true, null, '2026-11-20T21:00:00Z')).toBe('closes 16:00')
  expect(market(false, '2026-11-23T14:30:00Z', null)).toBe('opens Mon 09:30')
  expect(market(false, '2026-12-28T14:30:00Z', null)).toBe('opens Dec 28 09:30')
  expect([market(true, null, null), market(false, null, null), market(null, null, null)]).toEqual(['open', 'closed', null])
})
