import { describe, expect, it } from 'vitest'
import type { Alert, Condor } from '../src/document'
import { compareUrgency, urgencyOf } from '../src/urgency'

function condor(id: string, part: { days?: number; pl?: number | null; target?: number | null; risk?: number | null } = {}): Condor {
  const { days = 30, pl = 0, target = 100, risk = 0 } = part
  return {
    id,
    daysToExpiration: days,
    exits: { target, stop: null },
    valuation: { unrealizedPl: pl, percentOfRisk: risk },
  } as unknown as Condor
}

function alert(condorId: string | null, severity: Alert['severity'], state: Alert['state'] = 'firing'): Alert {
  return { id: `rule:${condorId}`, condorId, severity, state, acknowledgedAt: null } as unknown as Alert
}

describe('urgencyOf', () => {
  it('follows the most severe alert that fires for the condor', () => {
    expect(urgencyOf(condor('A'), [alert('A', 'warning'), alert('A', 'critical')])).toBe('critical')
    expect(urgencyOf(condor('A'), [alert('A', 'info'), alert('A', 'warning')])).toBe('warning')
  })

  it('ignores alerts that have resolved, only inform, or concern others', () => {
    const alerts = [alert('A', 'critical', 'resolved'), alert('A', 'info'), alert('B', 'critical'), alert(null, 'critical')]
    expect(urgencyOf(condor('A'), alerts)).toBe('calm')
  })

  it('does not change when an alert is acknowledged', () => {
    const acknowledged = { ...alert('A', 'critical'), acknowledgedAt: '2026-11-30T15:00:00Z' }
    expect(urgencyOf(condor('A'), [acknowledged])).toBe('critical')
  })

  it('is expiring within a week', () => {
    expect(urgencyOf(condor('A', { days: 7, pl: 100 }), [])).toBe('expiring')
    expect(urgencyOf(condor('A', { days: 8 }), [])).toBe('calm')
  })

  it('is target from four fifths of the profit at which the rules take it', () => {
    expect(urgencyOf(condor('A', { pl: 80 }), [])).toBe('target')
    expect(urgencyOf(condor('A', { pl: 79.99 }), [])).toBe('calm')
    expect(urgencyOf(condor('A', { pl: null }), [])).toBe('calm')
    expect(urgencyOf(condor('A', { pl: 80, target: null }), [])).toBe('calm')
  })

  it('knows a condor of an older daemon, which has no exits', () => {
    const { exits: _, ...older } = condor('A', { pl: 80 })
    expect(urgencyOf(older as Condor, [])).toBe('calm')
  })
})

describe('compareUrgency', () => {
  it('sorts by urgency, then by expiration, then by the loss in percent of the risk, then by id', () => {
    const condors = [
      condor('E', { risk: null }),
      condor('D', { risk: -10 }),
      condor('C', { risk: -10 }),
      condor('B', { days: 20 }),
      condor('A', { days: 3 }),
      condor('F', { days: 60 }),
    ]
    const sorted = condors.sort(compareUrgency([alert('F', 'critical')])).map(({ id }) => id)
    expect(sorted).toEqual(['F', 'A', 'B', 'C', 'D', 'E'])
  })
})
