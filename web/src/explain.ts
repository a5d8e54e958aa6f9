/**
 * Finds out why nothing comes from the daemon, which an EventSource does not report, by fetching `/api/status`.
 *
 * A browser hides from a page why a request to another origin failed. As long as the daemon has never answered this page,
 * it may not run, or it may not allow the page's origin: the error names both.
 */
import type { Environment } from './environment'

export interface LinkError {
  /**
   * `origin`: the daemon does not run or does not allow the page's origin; `unreachable`: it does not answer; `token`: the
   * token is missing or wrong; `host`: it does not serve that name; `address`: there is no condord at the address;
   * `ticket`: the function for tickets failed; `stream`: it answers, but does not open the stream.
   */
  code: 'origin' | 'unreachable' | 'token' | 'host' | 'address' | 'ticket' | 'stream'
  /** The fault and the remedy, in a sentence. */
  message: string
}

/** A status that takes longer counts as no answer. */
export const STATUS_LIMIT_MS = 10_000

const NO_GATEWAY = [502, 503, 504]
const STREAM = /\/stream$/

/** Returns the error of the stream at `address`; `hasTickets` if it is opened with tickets, `isKnown` if it ever answered. */
export async function explain(
  address: string,
  { hasTickets, isKnown }: { hasTickets: boolean; isKnown: boolean },
  environment: Environment,
  signal: AbortSignal,
): Promise<LinkError> {
  const url = new URL('status', address)
  const token = new URL(address).searchParams.get('access_token')
  if (token) url.searchParams.set('access_token', token)
  let answer: Response
  try {
    answer = await environment.fetch(url.href, { cache: 'no-store', signal })
  } catch {
    return noAnswer(address, isKnown)
  }
  if (answer.status === 401 && !hasTickets) {
    return token ? wrongToken(address) : missingToken(address, 'the option ticket, such as ticketsFrom(address, token)')
  }
  const isThere = answer.status === 401 || (answer.ok && (await isStatus(answer)))
  if (isThere && STREAM.test(new URL(address).pathname)) return noStream(address, hasTickets)
  return answerError(answer.ok ? 404 : answer.status, address, '/api/stream')
}

/** Returns the error that the status of an answer means; `path` is the one that the address should have. */
export function answerError(status: number, address: string, path: string): LinkError {
  const { origin, hostname } = new URL(address)
  if (status === 421) {
    return error('host', `condord does not serve the name ${hostname}: add it to its server.allowed_hosts.`)
  }
  if (status === 403) {
    return error('origin', `${origin} does not allow this page: add ${ownOrigin()} to condord's server.allowed_origins.`)
  }
  if (NO_GATEWAY.includes(status)) {
    return error('unreachable', `${origin} answers with status ${status}: does condord run behind it?`)
  }
  return error('address', `There is no condord at ${withoutQuery(address)}: its address ends with ${path}.`)
}

/** Returns the error of a request without an answer. */
export function noAnswer(address: string, isKnown: boolean): LinkError {
  const { origin } = new URL(address)
  const own = ownOrigin()
  if (isKnown || origin === own) return error('unreachable', `condord does not answer at ${origin}: is it running?`)
  return error(
    'origin',
    `condord does not run at ${origin}, or does not allow this page: start it, or add ${own} to its server.allowed_origins.`,
  )
}

export const missingToken = (address: string, where: string): LinkError =>
  error('token', `condord at ${new URL(address).origin} requires a token: pass it with ${where}.`)

export const wrongToken = (address: string): LinkError =>
  error('token', `condord at ${new URL(address).origin} does not accept the given token.`)

/** The function for tickets rejected with a 401: it may have had no token, or a wrong one. */
export const refusedTicket = (address: string): LinkError =>
  error('token', `condord at ${new URL(address).origin} issued no ticket: the token is missing or wrong.`)

export const failedTicket = (cause: unknown): LinkError =>
  error('ticket', `There is no ticket for the stream: ${cause instanceof Error ? cause.message : String(cause)}.`)

function noStream(address: string, hasTickets: boolean): LinkError {
  const ticket = hasTickets ? ', the ticket may be refused' : ''
  return error(
    'stream',
    `condord answers at ${new URL(address).origin}, but the stream does not open: it may have too many subscribers${ticket}, or a proxy holds it back.`,
  )
}

async function isStatus(answer: Response): Promise<boolean> {
  try {
    return typeof ((await answer.json()) as { state?: unknown } | null)?.state === 'string'
  } catch {
    return false // not JSON, such as a page
  }
}

const ownOrigin = () => globalThis.location?.origin

/** The query may contain a token. */
const withoutQuery = (address: string) => address.replace(/[?#].*$/, '')

const error = (code: LinkError['code'], message: string): LinkError => ({ code, message })
