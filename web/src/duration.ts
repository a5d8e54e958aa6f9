/** Below it, in seconds, whole minutes would be too coarse. */
const SECONDS_ONLY = 120

/** Formats whole seconds as 7 h 14 min, rounded up; below two minutes as 95 s. */
export function duration(seconds: number): string {
  if (seconds < SECONDS_ONLY) return `${seconds}\u00a0s`
  const minutes = Math.ceil(seconds / 60)
  const hours = Math.floor(minutes / 60)
  return [hours ? `${hours}\u00a0h` : '', minutes % 60 || !hours ? `${minutes % 60}\u00a0min` : ''].filter(Boolean).join(' ')
}
