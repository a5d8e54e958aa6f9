/** The ranges of the recorded line, as parameters of `GET /api/history`. */
import { exchangeDate } from '../dates'

export const RANGES = { session: 'Session', week: '1 week', month: '1 month', all: 'All' } as const
export type Range = keyof typeof RANGES

const DAYS: Record<Exclude<Range, 'all'>, number> = { session: 0, week: 7, month: 31 }
const DAY_MS = 86_400_000

/** Returns the query for a range; `from` is the first date at the exchange, by default from `now`. */
export function queryOf(condorId: string | null, range: Range, now: number, from = firstDate(range, now)): string {
  const parameters = new URLSearchParams(condorId === null ? {} : { condor: condorId })
  if (from !== null) parameters.set('from', from)
  return parameters.toString()
}

function firstDate(range: Range, now: number): string | null {
  return range === 'all' ? null : exchangeDate(now - DAYS[range] * DAY_MS)
}
