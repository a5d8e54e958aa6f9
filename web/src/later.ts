/** Components that are loaded when they are first needed. An import that fails is tried again, as the daemon may be restarting. */
import { h, shallowRef, type Component, type FunctionalComponent } from 'vue'

const WAIT_MS = 2000

/** Returns a function that returns what `load` loads, and undefined until it is there; the first call begins to load it. */
export function whenLoaded<Loaded>(load: () => Promise<Loaded>): () => Loaded | undefined {
  const found = shallowRef<Loaded>()
  let isAsked = false

  async function ask() {
    isAsked = true
    try {
      found.value = await load()
    } catch {
      setTimeout(ask, WAIT_MS)
    }
  }

  return () => {
    if (!isAsked) void ask()
    return found.value
  }
}

/**
 * Returns the component that `load` imports; until it is there, nothing is shown. Unlike with Vue's own function for that, a
 * `ref` is not passed on.
 */
export function later<Loaded extends Component>(load: () => Promise<{ default: Loaded }>): Loaded {
  const found = whenLoaded(load)
  const component: FunctionalComponent = (_, { attrs, slots }) => {
    const loaded = found()
    return loaded && h(loaded.default as Component, attrs, slots)
  }
  // The attributes are passed on above. Vue would add them to what this renders once more.
  component.inheritAttrs = false
  return component as unknown as Loaded
}
