/** Tells changes of a condor's value, which come with every quote, from those of the condor itself. */
import type { Condor } from './document'

/** What changes with quotes, with minutes and with orders, but neither the terms nor the risk. */
const OWN = ['valuation', 'history', 'closing']

/** Returns `last` while `condor` differs from it in nothing but its value, its history or its closing orders. */
export function withoutValue(condor: Condor | undefined, last: Condor | undefined): Condor | undefined {
  const isSame = ([key, part]: [string, unknown]) => OWN.includes(key) || part === last![key as keyof Condor]
  return condor && last && Object.entries(condor).every(isSame) ? last : condor
}
