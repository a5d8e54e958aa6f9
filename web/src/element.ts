/**
 * `<iron-condor-card src="http://127.0.0.1:8420/api/stream" condor-id="…">` for any page.
 *
 * `src` is the stream's address; `share` lets the tabs of an origin share it. The property `ticket` fetches a ticket for
 * each connection to a daemon with a token. It is not an attribute, as a token must not be in the page. Styles are adopted
 * instead of written into the page, so a Content-Security-Policy without inline styles is enough.
 *
 * A server that renders pages can import it, although it has no elements: there it does nothing.
 *
 * It does not use Vue's `defineCustomElement` (as of 3.5.45), because that stops observing attributes when the element is
 * removed and does not resume when it is added again.
 */
import { createApp, defineComponent, h, nextTick, shallowReactive, type App, type HTMLAttributes, type PropType, type PublicProps } from 'vue'
import { addressOf } from './address'
import { createFormat } from './format'
import IronCondorCard from './IronCondorCard.vue'
import tokens from './tokens.css?inline'
import type { Ticket } from './tickets'
import { useCondorStream } from './useCondorStream'

export { ticketsFrom, type Ticket } from './tickets'

const NAME = 'iron-condor-card'
const PROPERTIES = ['src', 'condorId', 'share', 'ticket', 'density', 'headingLevel', 'locale', 'timeZone'] as const

/** The styles of the card and of its parts, which the Vue plugin exports for a custom element. */
const parts = import.meta.glob<{ styles?: string[] }>('./*.vue', { eager: true, import: 'default' })
let adopted: CSSStyleSheet | null = null

function styleSheet(): CSSStyleSheet {
  if (!adopted) {
    adopted = new CSSStyleSheet()
    adopted.replaceSync([':host{display:block}', tokens, ...new Set(Object.values(parts).flatMap(({ styles = [] }) => styles))].join(''))
  }
  return adopted
}

export type Density = 'comfortable' | 'compact'

type CardProps = InstanceType<typeof IronCondorCard>['$props']
/** How the card looks. */
type Looks = Pick<CardProps, 'density' | 'headingLevel' | 'locale' | 'timeZone'>

interface Settings {
  src: string
  condorId: string
  share: boolean
  ticket: Ticket | null
  /** How many times `ticket` was set. */
  tickets: number
  /** For these, null is the card's default. */
  density: Density | null
  headingLevel: number | null
  locale: string | null
  timeZone: string | null
}

const Live = defineComponent({
  props: {
    src: { type: String, required: true },
    condorId: { type: String, required: true },
    share: Boolean,
    ticket: { type: Function as PropType<Ticket | null>, default: null },
    looks: { type: Object as PropType<Looks>, required: true },
  },
  emits: ['copy', 'acknowledge'],
  setup(props, { emit }) {
    const { share, ticket } = props
    const live = useCondorStream(() => props.src, { share, ...(ticket && { ticket }) })
    const on = {
      onCopy: (...details: unknown[]) => emit('copy', ...details),
      onAcknowledge: (...details: unknown[]) => emit('acknowledge', ...details),
    }
    return () => {
      const error = live.document.value ? null : live.error.value
      return error ? message(error.message) : h(IronCondorCard, { live, id: props.condorId, part: 'card', ...props.looks, ...on })
    }
  },
})

/** A card with a sentence instead of a condor. */
const message = (text: string) => h('article', { class: 'condor-card condor-theme', part: 'card', 'data-look': 'absent' }, text)

function card(settings: Settings, element: IronCondorCardElement) {
  const fault = faultOf(settings)
  if (fault) return message(fault)
  const { src, condorId, share, ticket, tickets, ...all } = settings
  const looks: Looks = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null))
  const emit = (name: string) => (detail: unknown) => element.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }))
  const on = { onCopy: emit('condor-copy'), onAcknowledge: emit('condor-acknowledge') }
  // `share` and `ticket` cannot change on an open stream. A new key mounts the component again with the new values.
  return h(Live, { key: `${share} ${tickets}`, src, condorId, share, ticket, looks, ...on })
}

function faultOf({ src, condorId, density, headingLevel, locale, timeZone }: Settings): string | null {
  if (!src) return 'src is missing. Set it to the address of the stream, such as /api/stream.'
  if (addressOf(src) === null) return `src is not an http or https address: ${src}`
  if (!condorId) return 'condor-id is missing. Set it to the id of a condor in /api/positions.'
  if (!DENSITIES.includes(density)) return `density is comfortable or compact, not ${density}`
  if (!HEADING_LEVELS.includes(headingLevel)) return 'heading-level is a number from 2 to 6'
  try {
    createFormat({ locale: locale ?? undefined, timeZone: timeZone ?? undefined })
  } catch (error) {
    return `locale or time-zone is not valid: ${(error as RangeError).message}`
  }
  return null
}

const DENSITIES: (string | null)[] = [null, 'comfortable', 'compact']
const HEADING_LEVELS: (number | null)[] = [null, 2, 3, 4, 5, 6]

/** A class that is never used, for environments without elements. */
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement

export class IronCondorCardElement extends Base {
  static readonly observedAttributes = ['src', 'condor-id', 'share', 'density', 'heading-level', 'locale', 'time-zone']
  readonly #settings = shallowReactive<Settings>({
    src: '',
    condorId: '',
    share: false,
    ticket: null,
    tickets: 0,
    density: null,
    headingLevel: null,
    locale: null,
    timeZone: null,
  })
  #app: App | null = null

  constructor() {
    super()
    this.attachShadow({ mode: 'open' }).adoptedStyleSheets.push(styleSheet())
  }

  get src(): string {
    return this.getAttribute('src') ?? ''
  }
  set src(address: string) {
    this.setAttribute('src', address)
  }

  get condorId(): string {
    return this.getAttribute('condor-id') ?? ''
  }
  set condorId(id: string) {
    this.setAttribute('condor-id', id)
  }

  get share(): boolean {
    return this.hasAttribute('share')
  }
  set share(isShared: boolean) {
    this.toggleAttribute('share', isShared)
  }

  get ticket(): Ticket | null {
    return this.#settings.ticket
  }
  set ticket(ticket: Ticket | null) {
    if (ticket === this.ticket) return
    this.#settings.ticket = ticket
    this.#settings.tickets += 1
  }

  get density(): Density | null {
    return this.getAttribute('density') as Density | null
  }
  set density(density: Density | null | undefined) {
    this.#set('density', density)
  }

  get headingLevel(): number | null {
    const level = this.getAttribute('heading-level')
    return level === null ? null : Number(level)
  }
  set headingLevel(level: number | null | undefined) {
    this.#set('heading-level', level)
  }

  get locale(): string | null {
    return this.getAttribute('locale')
  }
  set locale(locale: string | null | undefined) {
    this.#set('locale', locale)
  }

  get timeZone(): string | null {
    return this.getAttribute('time-zone')
  }
  set timeZone(zone: string | null | undefined) {
    this.#set('time-zone', zone)
  }

  #set(name: string, value: string | number | null | undefined) {
    if (value == null) this.removeAttribute(name)
    else this.setAttribute(name, String(value))
  }

  attributeChangedCallback() {
    const { src, condorId, share, density, headingLevel, locale, timeZone } = this
    Object.assign(this.#settings, { src, condorId, share, density, headingLevel, locale, timeZone })
  }

  connectedCallback() {
    // A value set before the script was loaded hides the property of the class.
    for (const name of PROPERTIES) {
      const own = Object.getOwnPropertyDescriptor(this, name)
      if (own && Reflect.deleteProperty(this, name)) Object.assign(this, { [name]: own.value as unknown })
    }
    if (this.#app) return
    this.#app = createApp(() => card(this.#settings, this))
    this.#app.mount(this.shadowRoot!)
  }

  disconnectedCallback() {
    // An element that is only moved is connected again by then, and keeps its stream.
    void nextTick(() => {
      if (this.isConnected) return
      this.#app?.unmount()
      this.#app = null
    })
  }
}

/** The element as a component, so that templates know its properties. */
type ElementComponent = new () => IronCondorCardElement & {
  $props: HTMLAttributes & PublicProps & Partial<Pick<IronCondorCardElement, (typeof PROPERTIES)[number]>>
}

declare global {
  interface HTMLElementTagNameMap {
    'iron-condor-card': IronCondorCardElement
  }
}

declare module 'vue' {
  interface GlobalComponents {
    'iron-condor-card': ElementComponent
  }
}

// On a server there are no elements, and a page may load the script twice.
if (globalThis.customElements && !customElements.get(NAME)) customElements.define(NAME, IronCondorCardElement)
