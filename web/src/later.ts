/** Components that are loaded when they are first shown. */
import { defineAsyncComponent, type AsyncComponentLoader, type Component } from 'vue'

const WAIT_MS = 2000
const ATTEMPTS = 60

/** Returns the component that `loader` imports. An import that fails is tried again, as the daemon may be restarting. */
export function later<Loaded extends Component>(loader: AsyncComponentLoader<Loaded>) {
  return defineAsyncComponent<Loaded>({
    loader,
    onError: (_, retry, fail, attempts) => void (attempts < ATTEMPTS ? setTimeout(retry, WAIT_MS) : fail()),
  })
}
