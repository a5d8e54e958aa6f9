/** Tickets: each opens one stream, as an EventSource cannot send the token. */

/** A function that fetches a ticket. The signal is aborted when the ticket is no longer wanted. */
export type Ticket = (signal: AbortSignal) => Promise<string>

const TOKEN = /^[\x21-\x7e]+$/

/**
 * Returns a function that fetches tickets from `url`, the daemon's `/api/tickets`, with what `token` returns at that time.
 * Without a token it works with a daemon that needs none. If the token is refused, it rejects with an error whose
 * `status` is 401.
 */
export function ticketsFrom(url: string, token: () => string | null | undefined = () => null): Ticket {
  return async (signal) => {
    const value = token()
    // A header cannot contain such a token, and no daemon has one.
    if (value && !TOKEN.test(value)) throw refusal(401)
    const headers: HeadersInit = value ? { Authorization: `Bearer ${value}` } : {}
    const answer = await fetch(url, { method: 'POST', headers, cache: 'no-store', signal })
    if (!answer.ok) throw refusal(answer.status)
    return ((await answer.json()) as { ticket: string }).ticket
  }
}

const refusal = (status: number) => Object.assign(new Error(`condord issued no ticket: status ${status}`), { status })

/** Whether a rejection is a 401: an error with that status, or the response itself. */
export function isRefusal(error: unknown): boolean {
  return (error as { status?: unknown } | null | undefined)?.status === 401
}
