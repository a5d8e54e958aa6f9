/** The page and the terminal put condors into the same order: both are held to one file of cases. */
import { expect, it } from 'vitest'
import type { Alert, Broken, Condor } from '../src/document'
import { compareUrgency, urgencyOf } from '../src/urgency'
import cases from './urgency.cases.json'

const alerts = cases.alerts as unknown as Alert[]
const condors = cases.condors.map(
  ({ id, isBroken, days, breached, tested, pl, percentOfRisk, target }) =>
    ({
      id,
      daysToExpiration: days,
      ...(isBroken
        ? { unrealizedPl: pl, missing: ['A'] }
        : { risk: { breached, tested }, exits: { target, stop: null }, valuation: { unrealizedPl: pl, percentOfRisk } }),
    }) as unknown as Condor | Broken,
)

it.each(condors.map((condor, at) => [condor.id, condor, cases.condors[at]?.urgency] as const))('%s', (_, condor, urgency) =>
  expect(urgencyOf(condor, alerts)).toBe(urgency),
)

it('the cases are in the order of urgency', () => {
  const sorted = condors.toReversed().sort(compareUrgency(alerts))
  expect(sorted.map(({ id }) => id)).toEqual(cases.condors.map(({ id }) => id))
})
