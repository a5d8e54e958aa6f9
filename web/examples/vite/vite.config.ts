import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [vue({ template: { compilerOptions: { isCustomElement: (tag) => tag === 'iron-condor-card' } } })],
  // While you develop, the page and the daemon have one origin; in production a proxy does the same.
  server: { proxy: { '/api': 'http://127.0.0.1:8420' } },
})
