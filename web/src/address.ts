/**
 * Decides what is an address of the daemon: of http or https, by itself or from where the page is.
 *
 * None is an empty one, which would be the page itself, nor `localhost:8420/api`, where `localhost:` is a scheme.
 */
export function addressOf(given: string): string | null {
  if (!given || !URL.canParse(given, document.baseURI)) return null
  const { href, protocol } = new URL(given, document.baseURI)
  return protocol === 'http:' || protocol === 'https:' ? href : null
}
