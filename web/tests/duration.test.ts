import { expect, it } from 'vitest'
import { duration } from '../src/duration'

it('is in hours and minutes and never more than is left', () => {
  const words = [0.5, 59.9, 60, 119, 120, 28 * 60 + 59, 3599, 3600, 434 * 60].map((seconds) => duration(seconds).replaceAll('\u00a0', ' '))
  expect(words).toEqual(['under a minute', 'under a minute', '1 min', '1 min', '2 min', '28 min', '59 min', '1 h', '7 h 14 min'])
})
