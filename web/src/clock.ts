/** The time by the daemon's clock, in whole seconds, so that ages are rendered at most once a second. */
import type { Ref } from 'vue'
import type { Environment } from './environment'

/** Updates `now` every second until it is stopped. */
export function startClock(now: Ref<number>, environment: Environment) {
  let offset = 0
  let stop = () => {}

  function update() {
    now.value = Math.floor((environment.now() + offset) / 1000) * 1000
  }

  function tick() {
    update()
    stop = environment.after(1000, tick)
  }

  /** Takes the daemon's time from an event that has just arrived. */
  function set(asOf: string) {
    offset = Date.parse(asOf) - environment.now()
  }

  tick()
  return { update, set, stop: () => stop() }
}
