import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

const here = (path: string) => new URL(path, import.meta.url).pathname

export default defineConfig({
  plugins: [vue()],
  resolve: {
    // The names that other apps import, resolved to the sources.
    alias: {
      'condord-web/card.css': here('src/IronCondorCard.vue?vue&type=style&index=0&lang.css'),
      'condord-web/card': here('src/IronCondorCard.vue'),
      'condord-web/analysis': here('src/analysis.ts'),
      'condord-web': here('src/index.ts'),
    },
  },
  test: {
    environment: 'happy-dom',
    // A file has a context of its own, as by default, but not a process: starting those took most of the time.
    pool: 'vmThreads',
    include: ['tests/**/*.test.ts', 'src/page/**/*.test.ts'],
    // One run of axe takes seconds on a busy machine, and one that is cut off lets all after it fail.
    testTimeout: 60_000,
  },
})
