/** Formats seconds until a deadline as 7 h 14 min, rounded down, so that it never shows more than is left. */
export function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1) return 'under a minute'
  const hours = Math.floor(minutes / 60)
  return [hours ? `${hours}\u00a0h` : '', minutes % 60 ? `${minutes % 60}\u00a0min` : ''].filter(Boolean).join(' ')
}
