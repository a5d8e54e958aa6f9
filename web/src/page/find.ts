/**
 * What the field "Find" understands: names, strikes, dates ("Dec 18", "2026-12-18"), days left ("5 days", "<7 days") and
 * states ("broken", "losing", "tested"). Every word must match.
 */
import type { Condor } from '../document'
import type { Severity } from '../firing'
import { isBroken, plOf, strikesOf, type Entry } from './entries'

type Test = (entry: Entry, severity: Severity | undefined) => boolean

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const EXPIRING_DAYS = 7
/** The beginning of a word for a state finds the state too, from this many letters on. */
const PREFIX_LENGTH = 3

/** A test that no broken condor passes. */
const ofWhole = (test: (condor: Condor) => boolean): Test => (entry) => !isBroken(entry) && test(entry)
const isLosing: Test = (entry) => (plOf(entry) ?? 0) < 0
const isWinning: Test = (entry) => (plOf(entry) ?? 0) > 0
const isTested = ofWhole(({ risk }) => risk.tested === 'put' || risk.tested === 'call')
const isShort: Test = ({ direction }) => direction === 'short'
const isLong: Test = ({ direction }) => direction === 'long'

/** The words for states. */
export const STATES: Readonly<Record<string, Test>> = {
  broken: isBroken,
  losing: isLosing,
  winning: isWinning,
  tested: isTested,
  breached: ofWhole(({ risk }) => risk.breached === true),
  expiring: ({ daysToExpiration }) => daysToExpiration <= EXPIRING_DAYS,
  critical: (_, severity) => severity === 'critical',
  warning: (_, severity) => severity === 'warning',
  alert: (_, severity) => severity !== undefined,
  closing: ofWhole(({ closing }) => closing.length > 0),
  incomplete: (entry) => isBroken(entry) || entry.valuation.missing.length > 0,
  unconfirmed: ofWhole(({ valuation }) => valuation.unconfirmed),
  doubtful: (entry) => isBroken(entry) || entry.valuation.missing.length > 0 || entry.valuation.unconfirmed,
  today: ({ daysToExpiration }) => daysToExpiration === 0,
  tomorrow: ({ daysToExpiration }) => daysToExpiration === 1,
  short: isShort,
  long: isLong,
  iron: () => true,
  condor: ({ kind }) => kind === 'ironCondor',
  butterfly: ({ kind }) => kind === 'ironButterfly',
  wing: ofWhole(({ brokenWing }) => brokenWing),
}

/** The patterns of search terms that are not plain words. A pattern that does not apply after all, as to an unknown month, gives null. */
const PATTERNS: readonly [RegExp, (match: RegExpExecArray) => Test | null][] = [
  [/^(?:<=|≤|within)\s*(\d+)\s*d(?:ays?)?(?=\s|$)/, ([, days]) => ({ daysToExpiration }) => daysToExpiration <= Number(days)],
  [/^(?:<|under)\s*(\d+)\s*d(?:ays?)?(?=\s|$)/, ([, days]) => ({ daysToExpiration }) => daysToExpiration < Number(days)],
  [/^(\d+)\s*d(?:ays?)?(?=\s|$)/, ([, days]) => ({ daysToExpiration }) => daysToExpiration === Number(days)],
  [/^([a-z]{3})[a-z]*\.?\s+(\d{1,2})(?:,?\s+(20\d\d))?(?=[\s,]|$)/, ([, month, day, year]) => dated(month!, day!, year)],
  [/^(\d{1,2})\.?\s+([a-z]{3})[a-z]*(?:\s+(20\d\d))?(?=\s|$)/, ([, day, month, year]) => dated(month!, day!, year)],
  [/^broken[ -]wing(?=\s|$)/, () => STATES['wing']!],
]

/** Returns whether an entry matches `text`, given the severity of its most severe alert. */
export function finder(text: string): Test {
  const tests: Test[] = []
  let rest = text.toLowerCase().replace(/^[\s,]+/, '')
  while (rest) {
    const [test, length] = next(rest)
    tests.push(test)
    rest = rest.slice(length).replace(/^[\s,]+/, '')
  }
  return (entry, severity) => tests.every((test) => test(entry, severity))
}

function next(rest: string): [Test, number] {
  for (const [pattern, test] of PATTERNS) {
    const match = pattern.exec(rest)
    const found = match && test(match)
    if (found) return [found, match[0].length]
  }
  const word = /^[^\s,]+/.exec(rest)![0]
  return [wordTest(word), word.length]
}

function dated(month: string, day: string, year: string | undefined): Test | null {
  const at = MONTHS.indexOf(month)
  if (at < 0) return null
  const wanted = `-${String(at + 1).padStart(2, '0')}-${day.padStart(2, '0')}`
  return ({ expiration }) => expiration.endsWith(wanted) && (!year || expiration.startsWith(year))
}

function wordTest(word: string): Test {
  const states = Object.entries(STATES).filter(([name]) => name === word || (word.length >= PREFIX_LENGTH && name.startsWith(word)))
  const month = MONTHS.indexOf(word.slice(0, 3))
  const isMonth = month >= 0 && /^[a-z]{3,}$/.test(word)
  return (entry, severity) =>
    isNamed(entry, word) ||
    states.some(([, test]) => test(entry, severity)) ||
    (isMonth && entry.expiration.slice(5, 7) === String(month + 1).padStart(2, '0'))
}

function isNamed(entry: Entry, word: string): boolean {
  const { id, underlying, root, expiration, legs } = entry
  if (/^[\d.]+$/.test(word)) return legs.some(({ strike }) => String(strike).startsWith(word)) || expiration.startsWith(word)
  const isDate = expiration.startsWith(word) && word.includes('-')
  const names = [underlying, root].map((name) => name.toLowerCase())
  // An id contains its strikes joined by hyphens; people write slashes.
  const isJoined = /[-/]/.test(word) && (id.toLowerCase().includes(word) || strikesOf(entry).includes(word))
  return isDate || isJoined || names.some((name) => name.includes(word))
}
