/** The daemon's own page, built to where the daemon serves it from. Links are relative, as a proxy may add a prefix. */
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

const daemon = process.env.CONDORD_URL ?? 'http://127.0.0.1:8420'

export default defineConfig({
  base: './',
  plugins: [vue()],
  define: { __VUE_OPTIONS_API__: 'false' },
  build: {
    outDir: '../condord/http/page',
    emptyOutDir: true,
    target: 'es2022',
    // The daemon's Content-Security-Policy allows nothing inline, and every target browser preloads modules without a polyfill.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // `vite --config vite.page.config.ts` shows the page while it is edited, with the data of a running daemon.
  server: { proxy: { '/api': daemon } },
})
