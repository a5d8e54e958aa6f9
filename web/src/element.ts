/**
 * `<iron-condor-card src="http://127.0.0.1:8420/api/stream" condor-id="…">` for any page.
 *
 * `src` is the stream's address; `share` lets the tabs of an origin share it. The property `ticket` fetches a ticket for
 * each connection to a daemon with a token. It is not an attribute, as a token must not be in the page. Styles are adopted
 * instead of written into the page, so a Content-Security-Policy without inline styles is enough.
 *
 * It does not use Vue's `defineCustomElement` (as of 3.5.45), because that stops observing attributes when the element is
 * removed and does not resume when it is added again.
 */
import { createApp, defineComponent, h, nextTick, shallowReactive, type App, type PropType } from 'vue'
import { addressOf } from './address'
import IronCondorCard from './IronCondorCard.vue'
import type { Ticket } from './tickets'
import { useCondorStream } from './useCondorStream'

export { ticketsFrom, type Ticket } from './tickets'

const NAME = 'iron-condor-card'
const PROPERTIES = ['src', 'condorId', 'share', 'ticket'] as const

/** The Vue plugin exports the styles for a custom element. */
const { styles = [] } = IronCondorCard as { styles?: string[] }
const sheet = new CSSStyleSheet()
sheet.replaceSync(':host{display:block}' + styles.join(''))

interface Settings {
  src: string
  condorId: string
  share: boolean
  ticket: Ticket | null
  /** How many times `ticket` was set. */
  tickets: number
}

const Live = defineComponent({
  props: {
    src: { type: String, required: true },
    condorId: { type: String, required: true },
    share: Boolean,
    ticket: { type: Function as PropType<Ticket | null>, default: null },
  },
  setup(props) {
    const { share, ticket } = props
    const live = useCondorStream(() => props.src, { share, ...(ticket && { ticket }) })
    return () => h(IronCondorCard, { live, id: props.condorId })
  },
})

function card(settings: Settings) {
  const fault = faultOf(settings)
  if (fault) return h('article', { class: 'condor-card', 'data-look': 'absent' }, fault)
  // `share` and `ticket` cannot change on an open stream. A new key mounts the component again with the new values.
  const { tickets, ...props } = settings
  return h(Live, { key: `${settings.share} ${tickets}`, ...props })
}

function faultOf({ src, condorId }: Settings): string | null {
  if (!src) return 'src is missing. Set it to the address of the stream, such as /api/stream.'
  if (addressOf(src) === null) return `src is not an http or https address: ${src}`
  return condorId ? null : 'condor-id is missing. Set it to the id of a condor in /api/positions.'
}

export class IronCondorCardElement extends HTMLElement {
  static readonly observedAttributes = ['src', 'condor-id', 'share']
  readonly #settings = shallowReactive<Settings>({ src: '', condorId: '', share: false, ticket: null, tickets: 0 })
  #app: App | null = null

  constructor() {
    super()
    this.attachShadow({ mode: 'open' }).adoptedStyleSheets.push(sheet)
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

  attributeChangedCallback() {
    const { src, condorId, share } = this
    Object.assign(this.#settings, { src, condorId, share })
  }

  connectedCallback() {
    // A value set before the script was loaded hides the property of the class.
    for (const name of PROPERTIES) {
      const own = Object.getOwnPropertyDescriptor(this, name)
      if (own && Reflect.deleteProperty(this, name)) Object.assign(this, { [name]: own.value as unknown })
    }
    if (this.#app) return
    this.#app = createApp(() => card(this.#settings))
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

declare global {
  interface HTMLElementTagNameMap {
    'iron-condor-card': IronCondorCardElement
  }
}

// A page may load the script twice.
if (!customElements.get(NAME)) customElements.define(NAME, IronCondorCardElement)
