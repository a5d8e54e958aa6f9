/** The alerts that fire, the most severe first. */
import type { Alert } from './document'

export type Severity = Alert['severity']

/** The most severe first. */
const SEVERITIES: readonly Severity[] = ['critical', 'warning', 'info']

/** The lower, the more severe. */
export const severityRank = ({ severity }: { severity: Severity }) => SEVERITIES.indexOf(severity)

/** Compares by severity: the more severe first. */
export const bySeverity = (one: { severity: Severity }, other: { severity: Severity }) => severityRank(one) - severityRank(other)

/** Returns those of `alerts` that fire, acknowledged or not, the most severe first. */
export const firingOf = (alerts: Iterable<Alert>): Alert[] => [...alerts].filter(({ state }) => state === 'firing').sort(bySeverity)

/** Returns those that fire for the whole condor `id`; what is broken of it is another condor with this id. */
export const firingFor = (id: string, alerts: Iterable<Alert>): Alert[] =>
  firingOf(alerts).filter(({ condorId, rule }) => condorId === id && rule !== 'broken-condor')
