/** Decides what a card says beside its numbers, and how it looks: the first note gives the look. */
import type { Condor, Leg, Quote, Status } from './document'
import { clock, signed, strike } from './format'
import type { Shown } from './live'

/** The most serious first. */
const LOOKS = ['lost', 'halted', 'broken', 'incomplete', 'stale', 'closed', 'new', 'notice'] as const

export type Look = (typeof LOOKS)[number]

const OLD: Look[] = ['lost', 'halted', 'stale']

export interface Note {
  look: Look
  text: string
}

/** What else a note may speak of. The time is looked at only where it matters: whoever reads it wakes every second. */
export type Around = Pick<Shown, 'status' | 'link' | 'quotes' | 'arrivals' | 'now'>

/** How long a condor that came while one looked on is called new. */
const NEW_MS = 60_000

export const legName = (leg: Leg) => `${strike(leg.strike)} ${leg.right}`

/** Whether the numbers beside `notes` are of an earlier time, and nobody can tell how far they are from the present. */
export const areOld = (notes: Note[]) => notes.some(({ look }) => OLD.includes(look))

/** What is to be known of `condor` now, the most serious first. */
export function notesOn(condor: Condor, around: Around): Note[] {
  const notes = [...lost(around), ...feed(around), ...legs(condor, around), ...values(condor, around), ...arrival(condor, around)]
  return notes.sort((one, other) => LOOKS.indexOf(one.look) - LOOKS.indexOf(other.look))
}

/** What is to be known of a condor that is not there. */
export function absence(id: string, around: Pick<Shown, 'document' | 'link' | 'now'>): string {
  // Before the account has been read it is not known what it holds.
  const isRead = around.document?.status.positions.readAt
  const said = isRead ? `No condor ${id} is held.` : 'Waiting for condord …'
  const why = around.link.state === 'reconnecting' ? lost(around).map(({ text }) => ` ${text}.`) : []
  return said + why.join('')
}

function lost(around: Pick<Shown, 'link' | 'now'>): Note[] {
  const { state, since } = around.link
  return state === 'open' ? [] : [{ look: 'lost', text: `No connection to condord since ${clock(since, around.now)}` }]
}

const FEED: Partial<Record<Status['state'], string>> = { stale: 'silent', reconnecting: 'lost' }

function feed(around: Around): Note[] {
  const { status } = around
  if (!status || status.state === 'live') return []
  if (status.state === 'closed') {
    const opens = status.market.nextOpen
    return [{ look: 'closed', text: opens ? `Market closed, opens ${clock(opens, around.now)}` : 'Market closed' }]
  }
  const text = `Feed ${FEED[status.state] ?? status.state} since ${clock(status.since, around.now)}`
  const why = status.reason ? `: ${status.reason}` : ''
  return [{ look: status.state === 'halted' ? 'halted' : 'stale', text: text + why }]
}

const broken = (text: string): Note => ({ look: 'broken', text: `Broken: ${text}` })

function legs(condor: Condor, { status }: Around): Note[] {
  const notices = status?.notices.filter(({ symbols }) => condor.legs.some(({ symbol }) => symbols.includes(symbol))) ?? []
  const problems = condor.legs.filter((leg) => leg.problem)
  return [
    ...notices.map(({ code, text }) => (code === 'brokenCondor' ? broken(text) : ({ look: 'notice', text } as const))),
    ...problems.map((leg) => broken(`${legName(leg)}: ${leg.problem}`)),
  ]
}

/** Such quotes have no mid of their own; at those that are crossed nobody could close. */
const LAST_GOOD: Partial<Record<Quote['state'], string>> = { stub: 'stub quote', crossed: 'crossed, no price to close at' }

function values(condor: Condor, around: Around): Note[] {
  const { missing, unconfirmed, plBounds } = condor.valuation
  const notes: Note[] = []
  if (missing.length) {
    const names = condor.legs.filter(({ symbol }) => missing.includes(symbol)).map(legName)
    const bounds = plBounds ? `; P/L from ${signed(plBounds.low)} to ${signed(plBounds.high)}` : ''
    notes.push({ look: 'incomplete', text: `Leg missing: no quote for ${names.join(', ')}${bounds}` })
  }
  const positions = around.status?.positions
  if (positions?.error && positions.readAt) {
    notes.push({ look: 'notice', text: `The account cannot be read; last read at ${clock(positions.readAt, around.now)}` })
  }
  const times: number[] = []
  for (const leg of condor.legs) {
    const quote = around.quotes.get(leg.symbol)
    if (quote?.unconfirmed && quote.time) times.push(Date.parse(quote.time))
    const why = quote?.mark != null && LAST_GOOD[quote.state]
    if (why) notes.push({ look: 'notice', text: `Mid of ${legName(leg)} is its last good one: ${why}` })
  }
  if (unconfirmed) {
    const since = times.length ? ` since ${clock(Math.min(...times), around.now)}` : ''
    notes.push({ look: 'stale', text: `Unconfirmed${since}` })
  }
  if (condor.ambiguous) notes.push({ look: 'notice', text: 'Ambiguous: the legs could be grouped otherwise' })
  return notes
}

function arrival(condor: Condor, around: Around): Note[] {
  const arrivedAt = around.arrivals.get(condor.id)
  if (arrivedAt === undefined || around.now - arrivedAt > NEW_MS) return []
  return [{ look: 'new', text: `New since ${clock(arrivedAt, around.now)}` }]
}
