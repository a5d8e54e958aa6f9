import { describe, expect, it } from 'vitest'
import { alert, AS_OF, broken, condor, risk, valuation } from '../../tests/account'
import type { Alert, Condor } from '../document'
import { markOf, marksOf, type Entry } from './entries'
import { urgencyOf } from '../urgency'
import { COLUMNS } from './columns'
import { finder } from './find'
import { arranged, COLUMN_SORTS, DEFAULT, fromHash, SORTS, toHash, turned, type View } from './view'

function held(root: string, pl: number | null, changes: Partial<Condor> = {}): Condor {
  const one = condor(root, changes)
  return { ...one, valuation: valuation(one.id, { unrealizedPl: pl, percentOfRisk: pl }) }
}

const groups = (entries: Entry[], view: Partial<View>, alerts: Alert[] = []) =>
  arranged(entries, alerts, marksOf(alerts, new Map()), { ...DEFAULT, ...view }, { columns: COLUMNS, finder }, Date.parse(AS_OF))
const roots = (entries: Entry[], view: Partial<View>, alerts: Alert[] = []) =>
  groups(entries, view, alerts).flatMap(({ ids }) => ids.map((id) => id.split('-')[0]))

describe('the address', () => {
  it('knows every column of the table', () => {
    const known = new Set([...Object.keys(SORTS), ...COLUMN_SORTS])
    expect(COLUMNS.map(({ key }) => key).filter((key) => !known.has(key))).toEqual([])
    expect(COLUMN_SORTS.filter((key) => !COLUMNS.some((column) => column.key === key))).toEqual([])
  })

  it('omits the default view', () => {
    expect(toHash(DEFAULT)).toBe('')
    expect(fromHash('')).toEqual(DEFAULT)
  })

  it('keeps every other view', () => {
    const view: View = { view: 'table', sort: '-theta', group: 'underlying', find: 'a&b #1' }
    expect(fromHash(`#${toHash(view)}`)).toEqual(view)
  })

  it('gives the default for invalid values', () => {
    expect(fromHash('#view=valueOf&sort=constructor&show=toString&group=&what=ever&announce=yes')).toEqual(DEFAULT)
    expect(fromHash('#sort=-urgency')).toEqual(DEFAULT)
  })

  it.each([
    ['sort=days', { sort: 'expires' }],
    ['sort=worst&show=losing', { sort: 'pl', find: 'losing' }],
    ['sort=best&find=iwm', { sort: '-pl', find: 'iwm' }],
    ['sort=breakeven&show=winning&find=spy', { sort: 'distance', find: 'winning spy' }],
    ['sort=symbol&show=week', { sort: 'condor', find: 'expiring' }],
    ['show=doubtful&announce=on', { find: 'doubtful' }],
    ['show=all', {}],
  ])('of the first release still works: %s', (hash, view) => {
    expect(fromHash(`#${hash}`)).toEqual({ ...DEFAULT, ...view })
  })
})

describe('a click on a header', () => {
  it('sorts in ascending order, then in descending order, then again', () => {
    expect(turned('urgency', 'pl')).toBe('pl')
    expect(turned('pl', 'pl')).toBe('-pl')
    expect(turned('-pl', 'pl')).toBe('pl')
    expect(turned('urgency', 'urgency')).toBe('urgency')
  })
})

describe('the order', () => {
  const won = held('AAA', 10, { daysToExpiration: 9 })
  const lost = held('BBB', -20, { daysToExpiration: 30 })
  const unknown = held('CCC', null, { daysToExpiration: 8 })
  const all = [unknown, won, lost]

  it('is by urgency unless another one is chosen', () => {
    const torn = { ...broken('TORN-1', {}), daysToExpiration: 60 }
    const soon = held('SOON', 1, { daysToExpiration: 3 })
    const near = held('NEAR', 45, { daysToExpiration: 60, exits: { target: 50, stop: null } })
    const calm = held('CALM', 1, { daysToExpiration: 40 })
    const warned = held('WARN', 1, { daysToExpiration: 50 })
    const bad = held('CRIT', 1, { daysToExpiration: 70 })
    const alerts = [
      alert('one', { condorId: warned.id, severity: 'warning' }),
      alert('two', { condorId: bad.id, severity: 'critical' }),
      alert('three', { condorId: calm.id, severity: 'critical', state: 'resolved' }),
    ]
    const wanted = ['TORN', 'CRIT', 'WARN', 'SOON', 'NEAR', 'CALM']
    expect(roots([calm, near, soon, warned, bad, torn], {}, alerts)).toEqual(wanted)
    expect(roots([torn, bad, warned, soon, near, calm].reverse(), {}, alerts)).toEqual(wanted)
  })

  it('is by days, then by the larger loss, where the urgency is the same', () => {
    const later = held('LATE', -90, { daysToExpiration: 31 })
    const worse = held('WORSE', -50, { daysToExpiration: 30 })
    expect(roots([later, lost, worse], {})).toEqual(['WORSE', 'BBB', 'LATE'])
  })

  it('is by a column in both directions, unknown last', () => {
    expect(roots(all, { sort: 'pl' })).toEqual(['BBB', 'AAA', 'CCC'])
    expect(roots(all, { sort: '-pl' })).toEqual(['AAA', 'BBB', 'CCC'])
    expect(roots(all, { sort: 'condor' })).toEqual(['AAA', 'BBB', 'CCC'])
  })

  it('is the daemon\'s for equal condors', () =>
    expect(roots([held('B', 1), held('A', 1)], { sort: '-pl' })).toEqual(['B', 'A']))

  it('can be by the distance to the nearer short strike, which a long condor lacks', () => {
    const side = (sigmas: number) => ({ dollars: 1, percent: 1, sigmas })
    const at = (root: string, put: number, call: number, changes: Partial<Condor> = {}) =>
      held(root, 1, { risk: risk(root, { distance: { put: side(put), call: side(call) } }), ...changes })
    const long = at('LONG', 0.1, 0.1, { direction: 'long' })
    expect(roots([long, at('FAR', 2, 3), at('NEAR', 4, 0.5)], { sort: 'distance' })).toEqual(['NEAR', 'FAR', 'LONG'])
  })
})

describe('groups', () => {
  const spy = held('SPY', 5, { daysToExpiration: 20 })
  const january = { ...held('SPY', -9, { daysToExpiration: 48 }), id: 'SPY-2', expiration: '2027-01-15' }
  const iwm = held('IWM', 1, { daysToExpiration: 20 })

  it('are sorted by the name of the underlying, in any order of their entries', () => {
    expect(groups([spy, iwm, january], { group: 'underlying', sort: 'pl' })).toEqual([
      { name: 'IWM', ids: [iwm.id] },
      { name: 'SPY', ids: ['SPY-2', spy.id] },
    ])
  })

  it('are sorted by the date of the expiration, with broken condors in their own', () => {
    const lost = { ...broken('LOST', {}), expiration: '2027-02-19' }
    expect(groups([lost, january, spy, iwm], { group: 'expiration', sort: '-pl' })).toEqual([
      { name: 'Dec 18, 2026', ids: [spy.id, iwm.id] },
      { name: 'Jan 15, 2027', ids: ['SPY-2'] },
      { name: 'Feb 19, 2027', ids: ['LOST'] },
    ])
  })

  it('default to one group without a name, and to none if nothing is found', () => {
    expect(groups([spy, iwm], {}).map(({ name }) => name)).toEqual([''])
    expect(groups([spy, iwm], { find: 'zzz' })).toEqual([])
  })
})

describe('the mark of a condor', () => {
  it('is its most severe firing alert', () => {
    const marks = marksOf([
      alert('a', { condorId: 'one', severity: 'warning' }),
      alert('b', { condorId: 'one', severity: 'critical', text: 'breached' }),
      alert('c', { condorId: 'one', severity: 'info' }),
      alert('d', { condorId: 'two', severity: 'critical', state: 'ended' }),
      alert('e', { condorId: null, severity: 'critical' }),
    ], new Map())
    expect([...marks]).toEqual([['one', { severity: 'critical', text: 'breached' }]])
  })

  it('belongs to the broken part for its own rule, and to the complete one for the others', () => {
    const { id } = spy
    const alerts = [alert('broken-condor', { condorId: id, severity: 'critical', text: 'lost' }), alert('tested', { condorId: id, text: 'near' })]
    const marks = marksOf(alerts, new Map([[id, spy as Condor]]))
    expect([...marks].map(([key, { text }]) => [key, text])).toEqual([[`${id}:broken`, 'lost'], [id, 'near']])
    expect(urgencyOf(spy, alerts.slice(0, 1))).toBe('calm')
  })

  const spy = held('SPY', 5)

  it('follows its state if that is more severe', () => {
    const entry = (risk: object) => ({ ...spy, risk: { ...spy.risk, ...risk } }) as Entry
    const breached = entry({ breached: true, tested: 'put' })
    const tested = entry({ breached: false, tested: 'call' })
    const info = { severity: 'info', text: 'far' } as const
    const critical = { severity: 'critical', text: 'stop' } as const
    expect(markOf(breached, info)).toEqual({ severity: 'critical', text: 'a short strike is breached' })
    expect(markOf(breached, critical)).toBe(critical)
    expect(markOf(tested, undefined)).toEqual({ severity: 'warning', text: 'a short strike is tested' })
    expect(markOf(tested, critical)).toBe(critical)
    expect(markOf(entry({ breached: false, tested: 'none' }), info)).toBe(info)
    expect(markOf(undefined, undefined)).toBeUndefined()
  })

  it('of a broken condor is critical whether an alert fires or not', () => {
    expect(markOf(broken('SPY', {}), undefined)).toEqual({ severity: 'critical', text: 'legs are missing' })
  })
})
