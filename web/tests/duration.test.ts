import { expect, it } from 'vitest'
import { duration } from '../src/duration'

it('is in hours and minutes, rounded up, and below two minutes in seconds', () => {
  const words = [1, 95, 119, 120, 28 * 60, 28 * 60 + 1, 3600, 434 * 60].map((seconds) => duration(seconds).replaceAll('\u00a0', ' '))
  expect(words).toEqual(['1 s', '95 s', '119 s', '2 min', '28 min', '29 min', '1 h', '7 h 14 min'])
})
