/**
 * The ES library for other apps: the state, what follows from it, and the card. Vue is not bundled. Each module is a file, so that the bundler of
 * an app leaves out those that it does not use.
 */
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [vue()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // The first browsers with light-dark(), which would otherwise be rewritten into something that hosts cannot control.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    lib: {
      entry: { 'condord-web': 'src/index.ts', analysis: 'src/analysis.ts', card: 'src/IronCondorCard.vue' },
      formats: ['es'],
      cssFileName: 'card',
    },
    rolldownOptions: { external: ['vue'], output: { minify: true, preserveModules: true, preserveModulesRoot: 'src', entryFileNames: '[name].js' } },
  },
})
