/** The page and the terminal put condors into the same order: both are tested with one file of cases. */
import { expect, it } from 'vitest'
import type { Alert, Broken, Condor } from '../src/document'
import { entriesOf } from '../src/page/needs'
import { alertKeys, byKeys, compareUrgency, isBroken, urgencyOf } from '../src/urgency'
import { status } from './account'
import cases from './urgency.cases.json'

const alerts = cases.alerts as unknown as Alert[]
const condors = cases.condors.map(
  ({ id, isBroken, days, ordersUntil, breached, tested, pl, percentOfRisk, target }) =>
    ({
      id,
      daysToExpiration: days,
      ...(isBroken
        ? { unrealizedPl: pl, missing: ['A'] }
        : { expiry: { cutoffs: ordersUntil ? [{ kind: 'liquidation', at: cases.asOf }, { kind: 'orders', at: ordersUntil }] : [] }, risk: { breached, tested }, exits: { target, stop: null }, valuation: { unrealizedPl: pl, percentOfRisk } }),
    }) as unknown as Condor | Broken,
)

it.each(condors.map((condor, at) => [condor.id, condor, cases.condors[at]?.urgency] as const))('%s', (_, condor, urgency) =>
  expect(urgencyOf(condor, alerts)).toBe(urgency),
)

it('the cases are in the order of urgency', () => {
  const sorted = condors.toReversed().sort(compareUrgency(alerts, Date.parse(cases.asOf)))
  expect(sorted.map(({ id }) => id)).toEqual(cases.condors.map(({ id }) => id))
})

const waiting = alerts
  .map((alert, at): Alert => ({ ...alert, id: String(at), since: cases.asOf, text: `${alert.condorId}: so.`, underlying: null, acknowledgedAt: alert.acknowledgedAt ?? null }))
  .filter(({ state, severity, acknowledgedAt }) => state === 'firing' && severity !== 'info' && acknowledgedAt === null)
const condorsById = new Map(condors.map((condor) => [condor.id, condor]))

it('the list of alerts is in the order of the terminal', () => {
  const sorted = waiting.toSorted(byKeys((alert) => alertKeys(alert, condorsById.get(alert.condorId ?? ''), Date.parse(cases.asOf))))
  expect([...new Set(sorted.map(({ condorId }) => condorId ?? 'account'))]).toEqual(cases.needs)
})

it('what needs the owner is in the order of the terminal', () => {
  const found = entriesOf({
    alerts: new Map(waiting.map((alert) => [alert.id, alert])),
    condors: new Map([...condorsById].filter((pair): pair is [string, Condor] => !isBroken(pair[1]))),
    broken: new Map(),
    underlyings: new Map(),
    link: { state: 'open', since: 0, retryAt: null },
    status: status(),
    now: Date.parse(cases.asOf),
  })
  expect(found.map(({ key }) => key)).toEqual(cases.needs)
})
