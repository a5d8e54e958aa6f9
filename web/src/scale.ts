/** Returns the linear function that maps the range `from` to `to`; an empty range maps to the middle. */
export function scale(from: readonly [number, number], to: readonly [number, number]): (value: number) => number {
  const width = from[1] - from[0]
  return (value) => {
    const part = width ? (value - from[0]) / width : 0.5
    return Math.round((to[0] + part * (to[1] - to[0])) * 10) / 10
  }
}
