import { expect, it } from 'vitest'
import { neighbour, type Place } from './arrows'

/** Five cards in rows of three: 0 1 2, 3 4. */
const places: Place[] = [0, 1, 2, 3, 4].map((at) => ({ left: (at % 3) * 300, top: Math.floor(at / 3) * 500 }))

it.each([
  [0, 'ArrowRight', 1],
  [2, 'ArrowRight', 3],
  [4, 'ArrowRight', null],
  [3, 'ArrowLeft', 2],
  [0, 'ArrowLeft', null],
  [1, 'ArrowDown', 4],
  [2, 'ArrowDown', 4],
  [3, 'ArrowDown', null],
  [4, 'ArrowUp', 1],
  [0, 'ArrowUp', null],
  [3, 'Home', 0],
  [1, 'End', 4],
  [1, 'Enter', null],
  [9, 'ArrowLeft', null],
])('from card %i, %s moves to %s', (from, key, to) => {
  expect(neighbour(places, from, key)).toBe(to)
})

it('a card in the next row is nearer than any in the row after it', () => {
  const column = [0, 1, 2].map((at) => ({ left: at === 1 ? 400 : 0, top: at * 500 }))
  expect(neighbour(column, 0, 'ArrowDown')).toBe(1)
  expect(neighbour(column, 2, 'ArrowUp')).toBe(1)
})
