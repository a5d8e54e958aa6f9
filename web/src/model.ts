/** The curve of today, for which the charts do not wait. */
import { whenLoaded } from './later'

export const model = whenLoaded(() => import('./curve'))
