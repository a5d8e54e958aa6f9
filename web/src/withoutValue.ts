/** Tells changes of a condor's value, which come with every quote, from those of the condor itself. */
import type { Condor } from './document'

/** The fields that change with quotes, minutes and orders; the terms and the risk are not among them. */
const OWN = ['valuation', 'history', 'closing']

/** Returns `last` while `condor` differs from it in nothing but its value, its history or its closing orders. */
export function withoutValue(condor: Condor | undefined, last: Condor | undefined): Condor | undefined {
  const isSame = ([key, part]: [string, unknown]) => OWN.includes(key) || part === last![key as keyof Condor]
  return condor && last && Object.entries(condor).every(isSame) ? last : condor
}
