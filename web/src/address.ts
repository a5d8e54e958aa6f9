/** An address of the daemon, absolute or relative to the page; null or undefined while it is not known yet. */
export type Address = string | URL | null | undefined

/**
 * Resolves an address; null unless it is an http or https address.
 *
 * An empty address would be the page itself, and in `localhost:8420/api` the scheme is `localhost:`, so both are null.
 */
export function addressOf(given: string | URL): string | null {
  if (!String(given) || !URL.canParse(given, document.baseURI)) return null
  const { href, protocol } = new URL(given, document.baseURI)
  return protocol === 'http:' || protocol === 'https:' ? href : null
}
