/** Requests of the page to its daemon, other than the stream. */
import { inject } from 'vue'
import { ASK, type Ask } from './ask'

/** How long a request may take. */
export const LIMIT_MS = 15_000
const TOKEN = /^[\x21-\x7e]+$/

/** Why a request failed, as a sentence for people. `status` is null without an answer. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number | null,
  ) {
    super(message)
  }
}

/** Returns the page's function for requests. */
export function useAsk(): Ask {
  return inject(ASK) ?? askWith(() => null)
}

/** Returns a function for requests with the token that `token` returns at that time. */
export function askWith(token: () => string | null): Ask {
  return async (path, init = {}) => {
    const value = token()
    const headers = new Headers(init.headers)
    // No daemon has a token that a header cannot contain.
    if (value && TOKEN.test(value)) headers.set('Authorization', `Bearer ${value}`)
    let answer: Response
    try {
      answer = await fetch(`./${path}`, { cache: 'no-store', signal: AbortSignal.timeout(LIMIT_MS), ...init, headers })
    } catch (error) {
      if ((error as Error).name === 'AbortError') throw error
      throw new ApiError('condord cannot be reached.', null)
    }
    if (!answer.ok) throw new ApiError(await reasonOf(answer), answer.status)
    return answer
  }
}

/** Returns the sentence for an error that `Ask` rejected with. */
export const sentenceOf = (error: unknown) => (error instanceof ApiError ? error.message : `The page failed: ${String(error)}.`)

async function reasonOf(answer: Response): Promise<string> {
  if (answer.status === 401) return 'condord does not accept the token.'
  const detail: unknown = await answer.json().then(
    (body: { detail?: unknown }) => body?.detail,
    // A proxy's error page, for example.
    () => null,
  )
  if (typeof detail !== 'string' || !detail) return `condord answered with status ${answer.status}.`
  const whole = detail.charAt(0).toUpperCase() + detail.slice(1)
  return /[.!?]$/.test(whole) ? whole : `${whole}.`
}
