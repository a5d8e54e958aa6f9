/**
 * The keys of shown condors. Where some units of a condor lost legs and the others are whole, both parts have its id: the
 * whole one has the id as its key, and the broken one the id with an ending.
 */
import type { Alert } from './document'

const ENDING = ':broken'

/** Returns the id of the condor with this key. */
export const idOf = (key: string) => key.replace(ENDING, '')

/** Returns the key of the broken condor `id`, given the ids of those that are whole. */
export const brokenKey = (id: string, whole: Pick<ReadonlySet<string>, 'has'>) => (whole.has(id) ? id + ENDING : id)

/** Returns the key of the condor of an alert, or null. Beside a whole part only one rule is about the broken one. */
export const alertKey = ({ rule, condorId }: Alert, whole: Pick<ReadonlySet<string>, 'has'>) =>
  condorId !== null && rule === 'broken-condor' ? brokenKey(condorId, whole) : condorId
