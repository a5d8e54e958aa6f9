/** The notes that a card shows next to its numbers. The first note decides how the card looks. */
import type { Condor, Leg, Notice, Quote, Status } from './document'
import { clock, signed, strike } from './format'
import { isCut, type Shown } from './live'

/** The most serious first. */
const LOOKS = ['lost', 'halted', 'broken', 'incomplete', 'stale', 'closed', 'new', 'notice'] as const

export type Look = (typeof LOOKS)[number]

const OLD: Look[] = ['lost', 'halted', 'stale']

export interface Note {
  look: Look
  text: string
}

/** What notes depend on. They read `now` only if they show a time, because reading it means rendering every second. */
export type Context = Pick<Shown, 'status' | 'link' | 'quotes' | 'arrivals' | 'now'>

/** How long a condor that appeared while the page was open is marked as new. */
const NEW_MS = 60_000

export const legName = (leg: Leg) => `${strike(leg.strike)} ${leg.right}`

/** Whether `notes` mean that the numbers may differ from the current ones by an unknown amount. */
export const areOld = (notes: Note[]) => notes.some(({ look }) => OLD.includes(look))

/** Returns the notes on `condor`, the most serious first. */
export function notesOn(condor: Condor, context: Context): Note[] {
  const notes = [...lost(context), ...feed(context), ...legs(condor, context), ...values(condor, context), ...arrival(condor, context)]
  return notes.sort((one, other) => LOOKS.indexOf(one.look) - LOOKS.indexOf(other.look))
}

/** Returns the text of a card without a condor. */
export function absence(id: string, context: Pick<Shown, 'document' | 'link' | 'now'>): string {
  const isRead = context.document?.status.positions.readAt
  const text = isRead ? `No condor ${id} is held.` : 'Waiting for condord …'
  const reasons = isCut(context.link) ? lost(context).map(({ text }) => ` ${text}.`) : []
  return text + reasons.join('')
}

function lost(context: Pick<Shown, 'link' | 'now'>): Note[] {
  const { state, since } = context.link
  const why = state === 'refused' ? ': the token is missing or wrong' : ''
  return state === 'open' ? [] : [{ look: 'lost', text: `No connection to condord since ${clock(since, context.now)}${why}` }]
}

const FEED: Partial<Record<Status['state'], string>> = { stale: 'silent', reconnecting: 'lost' }

function feed(context: Context): Note[] {
  const { status } = context
  if (!status || status.state === 'live') return []
  if (status.state === 'closed') {
    const opens = status.market.nextOpen
    return [{ look: 'closed', text: opens ? `Market closed, opens ${clock(opens, context.now)}` : 'Market closed' }]
  }
  const text = `Feed ${FEED[status.state] ?? status.state} since ${clock(status.since, context.now)}`
  const why = status.reason ? `: ${status.reason}` : ''
  return [{ look: status.state === 'halted' ? 'halted' : 'stale', text: text + why }]
}

const broken = (text: string): Note => ({ look: 'broken', text: `Broken: ${text}` })

/** A notice without the id of the condor at its start, as it is on that condor's card. */
function noticeOn(text: string, id: string): Note {
  const rest = text.slice(id.length + 2)
  const hasId = text.startsWith(`${id}: `)
  return { look: 'notice', text: hasId ? rest.charAt(0).toUpperCase() + rest.slice(1) : text }
}

function legs(condor: Condor, { status }: Context): Note[] {
  const concerns = ({ condorId, symbols }: Notice) =>
    condorId ? condorId === condor.id : condor.legs.some(({ symbol }) => symbols.includes(symbol))
  const notices = status?.notices.filter(concerns) ?? []
  const problems = condor.legs.filter((leg) => leg.problem)
  return [
    ...notices.map(({ code, text }) => (code === 'brokenCondor' ? broken(text) : noticeOn(text, condor.id))),
    ...problems.map((leg) => broken(`${legName(leg)}: ${leg.problem}`)),
  ]
}

/** Quotes in these states have no mid, and at a crossed one no order to close would be filled. */
const LAST_GOOD: Partial<Record<Quote['state'], string>> = { stub: 'stub quote', crossed: 'crossed, no price to close at' }

function values(condor: Condor, context: Context): Note[] {
  const { missing, unconfirmed, plBounds } = condor.valuation
  const notes: Note[] = []
  if (missing.length) {
    const names = condor.legs.filter(({ symbol }) => missing.includes(symbol)).map(legName)
    const bounds = plBounds ? `; P/L from ${signed(plBounds.low)} to ${signed(plBounds.high)}` : ''
    notes.push({ look: 'incomplete', text: `Leg missing: no quote for ${names.join(', ')}${bounds}` })
  }
  const positions = context.status?.positions
  if (positions?.error && positions.readAt) {
    notes.push({ look: 'notice', text: `The account cannot be read; last read at ${clock(positions.readAt, context.now)}` })
  }
  const times: number[] = []
  for (const leg of condor.legs) {
    const quote = context.quotes.get(leg.symbol)
    if (quote?.unconfirmed && quote.time) times.push(Date.parse(quote.time))
    const why = quote?.mark != null && LAST_GOOD[quote.state]
    if (why) notes.push({ look: 'notice', text: `Mid of ${legName(leg)} is the last good one: ${why}` })
  }
  if (unconfirmed) {
    const since = times.length ? ` since ${clock(Math.min(...times), context.now)}` : ''
    notes.push({ look: 'stale', text: `Unconfirmed${since}` })
  }
  if (condor.ambiguous) notes.push({ look: 'notice', text: 'Ambiguous: the legs could be grouped differently' })
  return notes
}

function arrival(condor: Condor, context: Context): Note[] {
  const arrivedAt = context.arrivals.get(condor.id)
  if (arrivedAt === undefined || context.now - arrivedAt > NEW_MS) return []
  return [{ look: 'new', text: `New since ${clock(arrivedAt, context.now)}` }]
}
