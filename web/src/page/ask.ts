/** How a part of the page sends requests to its daemon. */
import type { InjectionKey } from 'vue'

/** Sends a request to a path below the page's address. Rejects with an ApiError of api.ts unless the answer is a success. */
export type Ask = (path: string, init?: RequestInit) => Promise<Response>

export const ASK: InjectionKey<Ask> = Symbol('ask')
