/** The notes that a card shows next to its numbers. The first note decides how the card looks. */
import type { Condor, Notice, Quote, Status } from './document'
import { format as usual, type Format } from './format'
import { isCut } from './freshness'
import type { Link, Shown } from './live'
import { legName } from './naming'

/** The most serious first. */
const NOTES = ['broken', 'halted', 'stale', 'incomplete', 'closed', 'new', 'notice'] as const
/** How a card looks: the first that applies. */
const LOOKS = ['broken', 'breached', 'halted', 'stale', 'incomplete', 'tested', 'new', 'closed', 'live'] as const

export type Look = (typeof LOOKS)[number]

const OLD: Note['look'][] = ['halted', 'stale']

export interface Note {
  look: (typeof NOTES)[number]
  text: string
}

/** The inputs of notes. They read `now` only if they show a time, because reading it means rendering every second. */
export type Context = Pick<Shown, 'status' | 'link' | 'quotes' | 'arrivals' | 'now'>

/** How long a condor that appeared while the page was open is marked as new. */
const NEW_MS = 60_000

/** Whether `notes` mean that the numbers may differ from the current ones by an unknown amount. */
export const areOld = (notes: Note[]) => notes.some(({ look }) => OLD.includes(look))

/** Returns the notes on `condor`, the most serious first. */
export function notesOn(condor: Condor, context: Context, format = usual): Note[] {
  const all = [connection(context, format), legs(condor, context), values(condor, context, format), arrival(condor, context, format)]
  return all.flat().sort((one, other) => NOTES.indexOf(one.look) - NOTES.indexOf(other.look))
}

/** Returns how the card of `condor` looks with these notes. */
export function lookOf({ risk }: Condor, notes: Note[]): Look {
  const applies = new Set<string>(notes.map(({ look }) => look))
  // An older daemon has no risk. A long condor is never tested or breached.
  if (risk?.breached) applies.add('breached')
  if (risk?.tested === 'put' || risk?.tested === 'call') applies.add('tested')
  return LOOKS.find((look) => applies.has(look)) ?? 'live'
}

/** Returns the text of a card without a condor. */
export function absence(id: string, context: Pick<Shown, 'document' | 'link' | 'now'>, format = usual): string {
  const { document, link, now } = context
  const text = document?.status.positions.readAt ? `No condor ${id} is held.` : 'Waiting for condord …'
  if (!isCut(link)) return text
  const why = link.error?.message ?? (link.state === 'refused' ? 'The token is missing or wrong.' : '')
  return [text, `${unconnected(link, now, format)}.`, why].filter(Boolean).join(' ')
}

/** Returns the notes that do not depend on the condor: on the connection, and on the feed. */
export const connection = (context: Context, format = usual) => [...lost(context, format), ...feed(context, format)]

function lost({ link, now }: Context, format: Format): Note[] {
  if (link.state === 'open') return []
  const text = unconnected(link, now, format)
  // The sentence already states that the daemon does not answer.
  const why = link.error && link.error.code !== 'unreachable' ? `. ${link.error.message}` : ''
  return [{ look: 'stale', text: text + why }]
}

const unconnected = ({ since }: Link, now: number, { clock }: Format) => `No connection to condord since ${clock(since, now)}`

const FEED: Partial<Record<Status['state'], string>> = { stale: 'silent', reconnecting: 'lost' }

function feed(context: Context, { clock }: Format): Note[] {
  const { status } = context
  if (!status || status.state === 'live') return []
  if (status.state === 'closed') {
    const opens = status.market.nextOpen
    return [{ look: 'closed', text: opens ? `Market closed, opens ${clock(opens, context.now)}` : 'Market closed' }]
  }
  const text = `Feed ${FEED[status.state] ?? status.state} since ${clock(status.since, context.now)}`
  return [{ look: status.state === 'halted' ? 'halted' : 'stale', text }]
}

const broken = (text: string): Note => ({ look: 'broken', text: `Broken: ${text}` })

/** A notice that the card leaves out if it counts down to the cut-offs, as the notice has nothing else. */
const COUNTED: Notice['code'] = 'expiresToday'

/** A notice without the id of the condor at its start, as it is on that condor's card. */
function noticeOn(text: string, id: string): Note {
  const rest = text.slice(id.length + 2)
  const hasId = text.startsWith(`${id}: `)
  return { look: 'notice', text: hasId ? rest.charAt(0).toUpperCase() + rest.slice(1) : text }
}

function legs(condor: Condor, { status }: Context): Note[] {
  // A notice about missing legs with the id of this condor is about the broken units beside this card.
  const concerns = ({ code, condorId, symbols }: Notice) =>
    condorId ? condorId === condor.id && code !== 'brokenCondor' : condor.legs.some(({ symbol }) => symbols.includes(symbol))
  const isCounted = (notice: Notice) => notice.code === COUNTED && condor.expiry?.cutoffs.length
  const notices = status?.notices.filter((notice) => concerns(notice) && !isCounted(notice)) ?? []
  return [
    ...notices.map(({ code, text }) => (code === 'brokenCondor' ? broken(text) : noticeOn(text, condor.id))),
    ...condor.legs.flatMap((leg) => (leg.problem ? broken(`${legName(leg)}: ${leg.problem}`) : [])),
  ]
}

/** Quotes in these states have no mid, and at a crossed one no order to close would be filled. */
const LAST_GOOD: Partial<Record<Quote['state'], string>> = { stub: 'stub quote', crossed: 'crossed, no price to close at' }

/** Returns the note that the quotes of `legs` may be old, with the time of the oldest that is. */
export function unconfirmedNote(legs: readonly { symbol: string }[], { quotes, now }: Context, { clock } = usual): Note {
  const found = legs.map(({ symbol }) => quotes.get(symbol))
  const times = found.flatMap((quote) => (quote?.unconfirmed && quote.time ? [Date.parse(quote.time)] : []))
  return { look: 'stale', text: `Unconfirmed${times.length ? ` since ${clock(Math.min(...times), now)}` : ''}` }
}

function values(condor: Condor, context: Context, format: Format): Note[] {
  const { clock, signedUsd } = format
  const { missing, unconfirmed, plBounds } = condor.valuation
  const notes: Note[] = []
  if (missing.length) {
    const names = condor.legs.filter(({ symbol }) => missing.includes(symbol)).map(legName)
    const bounds = plBounds ? `; P/L from ${signedUsd(plBounds.low)} to ${signedUsd(plBounds.high)}` : ''
    notes.push({ look: 'incomplete', text: `Leg missing: no quote for ${names.join(', ')}${bounds}` })
  }
  const positions = context.status?.positions
  if (positions?.error && positions.readAt) {
    notes.push({ look: 'notice', text: `The account cannot be read; last read at ${clock(positions.readAt, context.now)}` })
  }
  for (const leg of condor.legs) {
    const quote = context.quotes.get(leg.symbol)
    const why = quote?.mark != null && LAST_GOOD[quote.state]
    if (why) notes.push({ look: 'notice', text: `Mid of ${legName(leg)} is the last good one: ${why}` })
  }
  if (unconfirmed) notes.push(unconfirmedNote(condor.legs, context, format))
  if (condor.ambiguous) notes.push({ look: 'notice', text: 'Ambiguous: the legs could be grouped differently' })
  return notes
}

function arrival(condor: Condor, context: Context, { clock }: Format): Note[] {
  const arrivedAt = context.arrivals.get(condor.id)
  if (arrivedAt === undefined || context.now - arrivedAt > NEW_MS) return []
  return [{ look: 'new', text: `New since ${clock(arrivedAt, context.now)}` }]
}
