/** The ES library for other apps: the state and the card. Vue is not bundled. */
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [vue()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    lib: {
      entry: { 'condord-web': 'src/index.ts', card: 'src/IronCondorCard.vue' },
      formats: ['es'],
      cssFileName: 'card',
    },
    rolldownOptions: { external: ['vue'], output: { minify: true } },
  },
})
