/** Tells the time by the daemon's clock, in whole seconds: what shows an age changes no more often. */
import type { Ref } from 'vue'
import type { Environment } from './environment'

/** Moves `now` every second until it is stopped. */
export function startClock(now: Ref<number>, environment: Environment) {
  let offset = 0
  let stop = () => {}

  function tell() {
    now.value = Math.floor((environment.now() + offset) / 1000) * 1000
  }

  function tick() {
    tell()
    stop = environment.after(1000, tick)
  }

  /** The daemon has just said what time it is. */
  function set(asOf: string) {
    offset = Date.parse(asOf) - environment.now()
  }

  tick()
  return { tell, set, stop: () => stop() }
}
