/** `<iron-condor-card>` for any page: one file that contains Vue and the styles. */
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [vue({ features: { customElement: true } })],
  define: {
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
    'process.env.NODE_ENV': '"production"',
  },
  build: {
    outDir: 'dist/element',
    emptyOutDir: true,
    target: 'es2022',
    // The first browsers with light-dark(), which would otherwise be rewritten into something that hosts cannot control.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    lib: { entry: 'src/element.ts', formats: ['es'], fileName: 'iron-condor-card' },
    rolldownOptions: { output: { minify: true, codeSplitting: false } },
  },
})
