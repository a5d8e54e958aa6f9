export default defineNuxtConfig({
  compatibilityDate: '2026-01-01',
  telemetry: false,
  css: ['condord-web/card.css'],
  vue: { compilerOptions: { isCustomElement: (tag) => tag === 'iron-condor-card' } },
  // The page and the daemon have one origin.
  routeRules: { '/api/**': { proxy: 'http://127.0.0.1:8420/api/**' } },
})
