/** Every look of a card, with what causes it and the notes that it shows. */
import type { Condor, Document, Notice } from '../src/document'
import type { Link } from '../src/live'
import { AS_OF, alert, condor, risk, status, valuation, without } from './account'

export interface Case {
  look: string
  isOld: boolean
  notes: string[]
  condor: Condor
  changes: Partial<Document>
  link: Link['state']
  /** The severity of its alarm, and the sentences. */
  alarm: [] | [severity: 'critical' | 'warning' | 'info', ...sentences: string[]]
}

const NOW = Date.parse(AS_OF)
const PUT = condor().legs[0]!.symbol
const FAR = { dollars: 30, percent: 4, sigmas: 2 }
const BEYOND = { tested: 'put', breached: true, distance: { put: { dollars: -2.9, percent: -0.4, sigmas: -0.1 }, call: FAR } } as const
const BROKEN: Notice = { code: 'brokenCondor', text: 'two legs went', symbols: [PUT], condorId: null, since: AS_OF }

const look = (look: string, isOld: boolean, notes: string[], changes: Partial<Case> = {}): Case => ({
  look,
  isOld,
  notes,
  condor: condor('SPY', { history: { seconds: [NOW / 1000 - 120, NOW / 1000 - 60], cents: [-500, 1000] } }),
  changes: {},
  link: 'open',
  alarm: [],
  ...changes,
})
const feed = (state: 'stale' | 'reconnecting' | 'starting' | 'halted' | 'closed') => ({
  changes: { status: status({ state, since: '2026-11-20T15:30:02Z', reason: state === 'closed' ? null : 'the reason' }) },
})

export const LOOKS: Case[] = [
  look('live', false, []),
  look('stale', true, ['Feed silent since 10:30:02 ET'], feed('stale')),
  look('stale', true, ['Feed lost since 10:30:02 ET'], feed('reconnecting')),
  look('stale', true, ['Feed starting since 10:30:02 ET'], feed('starting')),
  look('stale', true, ['Unconfirmed'], { condor: condor('SPY', { valuation: valuation('x', { unconfirmed: true }) }) }),
  look('halted', true, ['Feed halted since 10:30:02 ET'], feed('halted')),
  look('closed', false, ['Market closed, opens Mon, Nov 23, 09:30:00 ET'], feed('closed')),
  look('stale', true, ['No connection to condord since 10:31:00 ET'], { link: 'reconnecting' }),
  look('stale', true, ['No connection to condord since 10:31:00 ET'], { link: 'refused' }),
  look('broken', false, [], { alarm: ['critical', 'Broken: two legs went.'], changes: { status: status({ notices: [BROKEN] }) } }),
  look('broken', true, ['Feed silent since 10:30:02 ET'], {
    alarm: ['critical', 'Broken: two legs went.'],
    changes: { status: { ...feed('stale').changes.status, notices: [BROKEN] } },
  }),
  look('live', false, ['The account cannot be read; last read at 10:31:00 ET'], {
    changes: {
      status: status({ positions: { readAt: AS_OF, error: { code: 'unreachable', text: 'no answer' }, breaker: 'open' } }),
    },
  }),
  look('incomplete', false, ['Leg missing: no quote for 705 put'], {
    condor: condor('SPY', { valuation: without([PUT]) }),
  }),
  look('breached', false, [], {
    condor: condor('SPY', { risk: risk('x', { ...BEYOND, price: 712.1 }) }),
    alarm: ['critical', 'Short put 715 breached: SPY 742.00, 2.90 below.'],
  }),
  look('breached', true, ['Feed halted since 10:30:02 ET'], {
    ...feed('halted'),
    condor: condor('SPY', { risk: risk('x', { ...BEYOND, price: 712.1 }) }),
    alarm: ['critical', 'Short put 715 breached: SPY 742.00 (unconfirmed), 2.90 below.'],
  }),
  look('tested', false, ['Market closed, opens Mon, Nov 23, 09:30:00 ET'], {
    ...feed('closed'),
    condor: condor('SPY', { risk: risk('x', { tested: 'call', distance: { put: FAR, call: { dollars: 1.2, percent: 0.2, sigmas: 0.1 } } }) }),
    alarm: ['warning', 'Short call 770 tested: SPY 742.00, 1.20 away (0.1 σ).'],
  }),
  look('stale', true, ['Feed silent since 10:30:02 ET', 'Leg missing: no quote for 705 put'], {
    ...feed('stale'),
    condor: condor('SPY', { valuation: without([PUT]) }),
  }),
  look('live', false, [], {
    changes: { alerts: [alert('profit-target', { condorId: condor().id, severity: 'info', text: 'SPY 705/715/770/780 Dec 18: the profit is at its target. P/L 155.00.' })] },
    alarm: ['info', 'The profit is at its target.'],
  }),
]
