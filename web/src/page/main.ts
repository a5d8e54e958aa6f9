import { createApp } from 'vue'
import PageRoot from './PageRoot.vue'
import './page.css'

createApp(PageRoot).mount('#page')
