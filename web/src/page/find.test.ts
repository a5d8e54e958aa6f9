/** The page and the terminal understand the same words: both are held to one file of cases. */
import { expect, it } from 'vitest'
import { broken, condor, risk, valuation } from '../../tests/account'
import { cases, entries } from '../../tests/find.cases.json'
import type { Severity } from '../firing'
import type { Entry } from './entries'
import { finder } from './find'

const STRIKES = [705, 715, 770, 780]

const held = entries.map(({ id, underlying, root, expiration, days, kind, direction, strikes = STRIKES, isBroken, pl, ...state }): Entry => {
  const whole = condor(root)
  const own = { id, underlying, root, expiration, daysToExpiration: days, kind: kind ?? 'ironCondor', direction: direction ?? 'short' }
  if (isBroken) return { ...broken(id, {}), ...own, unrealizedPl: pl } as Entry
  const { tested = 'none', breached = false, brokenWing = false, missing = [], unconfirmed = false, closing } = state
  return {
    ...whole,
    ...own,
    brokenWing,
    legs: whole.legs.map((leg, at) => ({ ...leg, strike: strikes[at]! })),
    closing: closing ? [{}] : [],
    risk: { ...risk(id), tested, breached },
    valuation: { ...valuation(id), unrealizedPl: pl, missing, unconfirmed },
  } as Entry
})

it.each(cases as unknown as [string, string[]][])('understands "%s"', (text, wanted) => {
  const found = held.filter((entry, at) => finder(text)(entry, entries[at]!.severity as Severity | undefined))
  expect(found.map(({ root }) => root)).toEqual(wanted)
})
