import { createApp } from 'vue'
import PageRoot from './PageRoot.vue'
import '../tokens.css'
import './page.css'

createApp(PageRoot).mount('#page')
