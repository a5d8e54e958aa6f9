/** The daemon's own page, built to where the daemon serves it from. Links are relative, as a proxy may add a prefix. */
import vue from '@vitejs/plugin-vue'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import { minify } from 'terser'
import { defineConfig, type Plugin } from 'vite'

const daemon = process.env.CONDORD_URL ?? 'http://127.0.0.1:8420'

/** Tells which modules the page loads first: the entry with all that it imports statically. */
function isFirst(id: string, moduleOf: ModuleOf): boolean {
  const found = new Set<string>()
  const next = [resolve(import.meta.dirname, 'src/page/main.ts')]
  for (let each = next.pop(); each !== undefined; each = next.pop()) {
    if (found.has(each)) continue
    found.add(each)
    next.push(...(moduleOf(each)?.importedIds ?? []))
  }
  return found.has(id)
}

type ModuleOf = (id: string) => { importedIds: readonly string[] } | null

/** In place of Vite's helper for dynamic imports, which also preloads modules and takes four times as much of the first load. */
const stylesBefore: Plugin = {
  name: 'condord:styles-before-modules',
  enforce: 'pre',
  load: (id) => (id === '\0vite/preload-helper.js' ? HELPER : null),
}
const HELPER = `
const loads = new Map()
function styled(href) {
  if (!loads.has(href)) loads.set(href, new Promise((done) =>
    document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href, onload: done, onerror: done })),
  ))
  return loads.get(href)
}
export const __vitePreload = (load, files = [], from) =>
  Promise.all(files.map((file) => styled(new URL(file, from).href))).then(load)
`

const NAME = 'assets/[name]-[hash:6].js'

/** Finds a hundredth more to leave out of what Vite has minified. */
const minifiedAgain: Plugin = {
  name: 'condord:minified-again',
  apply: 'build',
  async generateBundle(_, bundle) {
    for (const file of Object.values(bundle)) {
      if (file.type !== 'chunk') continue
      // The second time, it finds a little more in what it has mangled.
      for (const _ of [1, 2]) {
        const { code } = await minify(file.code, { module: true, ecma: 2020, compress: { passes: 3, unsafe_arrows: true } })
        file.code = code!
      }
    }
  },
}

/** Writes each file compressed beside it, for browsers on the same machine or with https: a tenth smaller than gzipped. */
const compressed: Plugin = {
  name: 'condord:compressed',
  apply: 'build',
  writeBundle({ dir }, bundle) {
    for (const name of Object.keys(bundle)) writeFileSync(join(dir!, `${name}.br`), brotliCompressSync(readFileSync(join(dir!, name))))
  },
}

export default defineConfig({
  base: './',
  plugins: [vue(), stylesBefore, minifiedAgain, compressed],
  define: { __VUE_OPTIONS_API__: 'false' },
  build: {
    outDir: '../condord/http/page',
    emptyOutDir: true,
    target: 'es2022',
    // The first browsers with light-dark(), which would otherwise be rewritten into something that hosts cannot control.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // The daemon's Content-Security-Policy allows nothing inline, and every target browser preloads modules without a polyfill.
    assetsInlineLimit: 0,
    // One chunk, as it compresses better than those that would be shared with what is loaded later.
    rolldownOptions: {
      // The names are in the first file, where each character counts.
      output: { entryFileNames: NAME, chunkFileNames: NAME, assetFileNames: 'assets/[name]-[hash:6][extname]', codeSplitting: { groups: [{ name: (id, context) => (isFirst(id, (each) => context.getModuleInfo(each)) ? 'first' : null), debugName: 'first' }] } },
    },
    modulePreload: false,
  },
  // `vite --config vite.page.config.ts` shows the page while it is edited, with the data of a running daemon.
  server: { proxy: { '/api': daemon } },
})
