/** Sentences about the daemon's notices. */
import type { Alert, Notice } from '../document'
import { firingOf } from '../firing'
import { day } from '../format'
import type { Shown } from '../live'
import { sentence } from './words'

/** The texts of these begin with their subject: a condor, or the contracts of an expiration. */
const ENDINGS: readonly Notice['code'][] = ['expiresToday', 'lastTradingDay', 'expired']

/** Returns a notice as a sentence, after the names of the held condors and legs that it is about. */
export function noticeSentence(notice: Notice, { condors, unmatched }: Pick<Shown, 'condors' | 'unmatched'>): string {
  const concerns = ({ symbol }: { symbol: string }) => notice.symbols.includes(symbol)
  const held = [...[...condors.values()].filter(({ legs }) => legs.some(concerns)), ...[...unmatched.values()].filter(concerns)]
  const names = new Set(held.flatMap((each) => (each.expiration ? `${each.underlying} ${day(each.expiration)}` : [])))
  const isNamed = ENDINGS.includes(notice.code)
  if (!names.size || (isNamed && notice.condorId)) return sentence(notice.text)
  return `${[...names].join(', ')}: ${sentence(isNamed ? notice.text.replace(/^[^:]*: /, '') : notice.text)}`
}

/** The rules that report the same facts as these notices. */
const REPORTED_BY: Partial<Record<Notice['code'], string>> = {
  brokenCondor: 'broken-condor',
  assignment: 'assignment',
  expiresToday: 'expires-today',
}

/** Returns the notices that no firing alert reports as well. */
export function noticesBeside(notices: Notice[], alerts: Iterable<Alert>): Notice[] {
  const firing = firingOf(alerts).filter(({ severity }) => severity !== 'info')
  const isReported = ({ code, condorId }: Notice) =>
    condorId !== null && firing.some((alert) => alert.condorId === condorId && alert.rule === REPORTED_BY[code])
  return notices.filter((notice) => !isReported(notice))
}
