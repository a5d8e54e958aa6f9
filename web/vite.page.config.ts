/** The daemon's own page, built to where the daemon serves it from. Links are relative, as a proxy may add a prefix. */
import vue from '@vitejs/plugin-vue'
import { resolve } from 'node:path'
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
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return
  if (!loads.has(href)) loads.set(href, new Promise((done) => {
    const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href, onload: done, onerror: done })
    document.head.append(link)
  }))
  return loads.get(href)
}
export const __vitePreload = (load, files = [], from) =>
  Promise.all(files.filter((file) => file.endsWith('.css')).map((file) => styled(new URL(file, from).href))).then(load)
`

export default defineConfig({
  base: './',
  plugins: [vue(), stylesBefore],
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
      output: { codeSplitting: { groups: [{ name: (id, context) => (isFirst(id, (each) => context.getModuleInfo(each)) ? 'first' : null), debugName: 'first' }] } },
    },
    modulePreload: false,
  },
  // `vite --config vite.page.config.ts` shows the page while it is edited, with the data of a running daemon.
  server: { proxy: { '/api': daemon } },
})
