/**
 * `<iron-condor-card src="http://127.0.0.1:8420/api/stream" condor-id="…">` for any page.
 *
 * `src` is the stream's address, `share` lets the tabs of an origin share it. Styles are adopted, not written into the
 * page, so that a Content-Security-Policy without inline styles stands.
 */
import { defineComponent, defineCustomElement, h } from 'vue'
import IronCondorCard from './IronCondorCard.vue'
import { useCondorStream } from './useCondorStream'

/** The card as the plugin makes it here; without its styles, which Vue would write into the shadow root. */
const card = { ...IronCondorCard, styles: undefined } as unknown as typeof IronCondorCard
const { styles = [] } = IronCondorCard as { styles?: string[] }
const sheet = new CSSStyleSheet()
sheet.replaceSync(':host{display:block}' + styles.join(''))

const Live = defineComponent({
  props: { src: { type: String, required: true }, condorId: { type: String, required: true }, share: Boolean },
  setup(props) {
    const live = useCondorStream(() => props.src, { share: props.share })
    return () => h(card, { live, id: props.condorId })
  },
})

export class IronCondorCardElement extends defineCustomElement(Live) {
  constructor(props?: Record<string, unknown>) {
    super(props)
    this.shadowRoot!.adoptedStyleSheets.push(sheet)
  }
}

customElements.define('iron-condor-card', IronCondorCardElement)
