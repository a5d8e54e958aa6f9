/** The page and the terminal name what a broken condor has lost in the same words: both are tested with one file of cases. */
import { expect, it } from 'vitest'
import type { Broken } from '../src/document'
import { missingOf } from '../src/page/missing'
import cases from './missing.cases.json'

it.each(cases)('$all', ({ legs, all, first }) => {
  const lost = { legs: legs.map(([right, strike, quantity, held]) => ({ right, strike, quantity, held })) as unknown as Broken['legs'] }
  expect([missingOf(lost), missingOf(lost, 1)]).toEqual([all, first])
})
