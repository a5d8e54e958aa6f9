/** Every look of a card, with what causes it and the notes that it shows. */
import type { Condor, Document, Notice } from '../src/document'
import type { Link } from '../src/live'
import { AS_OF, condor, status, valuation, without } from './account'

export interface Case {
  look: string
  isOld: boolean
  notes: string[]
  condor: Condor
  changes: Partial<Document>
  link: Link['state']
}

const NOW = Date.parse(AS_OF)
const PUT = condor().legs[0]!.symbol
const BROKEN: Notice = { code: 'brokenCondor', text: 'two legs went', symbols: [PUT], condorId: null, since: AS_OF }

const look = (look: string, isOld: boolean, notes: string[], changes: Partial<Case> = {}): Case => ({
  look,
  isOld,
  notes,
  condor: condor('SPY', { history: { seconds: [NOW / 1000 - 120, NOW / 1000 - 60], cents: [-500, 1000] } }),
  changes: {},
  link: 'open',
  ...changes,
})
const feed = (state: 'stale' | 'reconnecting' | 'starting' | 'halted' | 'closed') => ({
  changes: { status: status({ state, since: '2026-11-20T15:30:02Z', reason: state === 'closed' ? null : 'the reason' }) },
})

export const LOOKS: Case[] = [
  look('live', false, []),
  look('stale', true, ['Feed silent since 10:30:02 EST: the reason'], feed('stale')),
  look('stale', true, ['Feed lost since 10:30:02 EST: the reason'], feed('reconnecting')),
  look('stale', true, ['Feed starting since 10:30:02 EST: the reason'], feed('starting')),
  look('stale', true, ['Unconfirmed'], { condor: condor('SPY', { valuation: valuation('x', { unconfirmed: true }) }) }),
  look('halted', true, ['Feed halted since 10:30:02 EST: the reason'], feed('halted')),
  look('closed', false, ['Market closed, opens Mon, Nov 23, 09:30:00 EST'], feed('closed')),
  look('lost', true, ['No connection to condord since 10:31:00 EST'], { link: 'reconnecting' }),
  look('lost', true, ['No connection to condord since 10:31:00 EST: the token is missing or wrong'], { link: 'refused' }),
  look('broken', false, ['Broken: two legs went'], { changes: { status: status({ notices: [BROKEN] }) } }),
  look('broken', true, ['Broken: two legs went', 'Feed silent since 10:30:02 EST: the reason'], {
    changes: { status: { ...feed('stale').changes.status, notices: [BROKEN] } },
  }),
  look('notice', false, ['The account cannot be read; last read at 10:31:00 EST'], {
    changes: {
      status: status({ positions: { readAt: AS_OF, error: { code: 'unreachable', text: 'no answer' }, breaker: 'open' } }),
    },
  }),
  look('incomplete', false, ['Leg missing: no quote for 705 put'], {
    condor: condor('SPY', { valuation: without([PUT]) }),
  }),
]
