import { createApp, h } from 'vue'
import { useCondorStream } from '../useCondorStream'
import App from './App.vue'
import './page.css'

createApp({
  setup() {
    const live = useCondorStream('./api/stream', { share: true })
    return () => h(App, { live })
  },
}).mount('#page')
