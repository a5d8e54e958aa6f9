/** Renders the page as a server would, and prints it: without a browser there is no stream. */
import { createSSRApp } from 'vue'
import { renderToString } from 'vue/server-renderer'
import App from './App.vue'

console.log(await renderToString(createSSRApp(App)))
