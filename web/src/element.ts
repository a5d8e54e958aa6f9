/**
 * `<iron-condor-card src="http://127.0.0.1:8420/api/stream" condor-id="…">` for any page.
 *
 * `src` is the stream's address, `share` lets the tabs of an origin share it. Styles are adopted, not written into the
 * page, so that a Content-Security-Policy without inline styles stands.
 *
 * The element is not made by Vue's `defineCustomElement` (seen in 3.5.45): that one stops watching its attributes when
 * it is removed, and does not begin again when it is added again.
 */
import { createApp, defineComponent, h, nextTick, shallowReactive, type App } from 'vue'
import { addressOf } from './address'
import IronCondorCard from './IronCondorCard.vue'
import { useCondorStream } from './useCondorStream'

const NAME = 'iron-condor-card'
const PROPERTIES = ['src', 'condorId', 'share'] as const

/** The plugin leaves them to the element here. */
const { styles = [] } = IronCondorCard as { styles?: string[] }
const sheet = new CSSStyleSheet()
sheet.replaceSync(':host{display:block}' + styles.join(''))

interface Given {
  src: string
  condorId: string
  share: boolean
}

const Live = defineComponent({
  props: { src: { type: String, required: true }, condorId: { type: String, required: true }, share: Boolean },
  setup(props) {
    const live = useCondorStream(() => props.src, { share: props.share })
    return () => h(IronCondorCard, { live, id: props.condorId })
  },
})

function card(given: Given) {
  const fault = faultOf(given)
  if (fault) return h('article', { class: 'condor-card', 'data-look': 'absent' }, fault)
  // A stream is shared or is not, for good.
  return h(Live, { key: String(given.share), ...given })
}

function faultOf({ src, condorId }: Given): string | null {
  if (!src) return 'src is missing: the address of the stream, as /api/stream.'
  if (addressOf(src) === null) return `src is no address of http or https: ${src}`
  return condorId ? null : 'condor-id is missing: the id of the condor, as in /api/positions.'
}

export class IronCondorCardElement extends HTMLElement {
  static readonly observedAttributes = ['src', 'condor-id', 'share']
  readonly #given = shallowReactive<Given>({ src: '', condorId: '', share: false })
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

  attributeChangedCallback() {
    const { src, condorId, share } = this
    Object.assign(this.#given, { src, condorId, share })
  }

  connectedCallback() {
    // What was set before the script was there hides the property of the class.
    for (const name of PROPERTIES) {
      const own = Object.getOwnPropertyDescriptor(this, name)
      if (own && Reflect.deleteProperty(this, name)) Object.assign(this, { [name]: own.value as unknown })
    }
    if (this.#app) return
    this.#app = createApp(() => card(this.#given))
    this.#app.mount(this.shadowRoot!)
  }

  disconnectedCallback() {
    // What is only moved is connected again by then, and keeps its stream.
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

// The script may stand in a page twice.
if (!customElements.get(NAME)) customElements.define(NAME, IronCondorCardElement)
