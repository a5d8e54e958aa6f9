// Fails if something is not built or exceeds its budget, gzipped as by the daemon, in kB of 1000 bytes.
//
// What a browser or an app loads first is a file with all that it imports. What is loaded later, or only if an app uses it,
// is listed apart.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

const PAGE = '../condord/http/page'
const DIST = 'dist'
const BUDGETS = [
  // Whole, whichever of it an app uses.
  ['library', 8, [`${DIST}/condord-web.js`], 'build:lib'],
  // Alone; beside the library it adds less, as both use the formats.
  ['analysis', 5, [`${DIST}/analysis.js`], 'build:lib'],
  ['card', 17, [`${DIST}/card.js`, `${DIST}/card.css`], 'build:lib'],
  ['element', 51, [`${DIST}/element/iron-condor-card.js`], 'build:element'],
  ['page, first load', 60, [`${PAGE}/index.html`], 'build:page'],
]
// `import "…"`, `from "…"` and, in HTML, `src="…"` and `href="…"`, all relative; not `import("…")`, which loads later.
const LOADED = /(?:\bimport|\bfrom|\bsrc=|\bhref=)\s*["'](\.{1,2}\/[^"']+)["']/g
const TEXT = /\.(css|html|js|svg)$/

process.chdir(new URL('..', import.meta.url).pathname)

/** Adds to `found` the file at `path` and all that it loads first. */
function reach(path, found = new Set()) {
  if (found.has(path) || !existsSync(path)) return found
  found.add(path)
  if (!TEXT.test(path)) return found
  for (const [, name] of readFileSync(path, 'utf8').matchAll(LOADED)) reach(join(dirname(path), name), found)
  return found
}

// The modules of the library become one file in the app; the files of the page are compressed one by one.
const together = (paths) => gzipSync(paths.map((path) => readFileSync(path, 'utf8')).join('\n'), { level: 9 }).length
const oneByOne = (paths) => paths.reduce((sum, path) => sum + gzipSync(readFileSync(path), { level: 9 }).length, 0)
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`

for (const [name, most, entries, script] of BUDGETS) {
  const isBuilt = entries.every((path) => existsSync(path))
  const files = [...new Set(entries.flatMap((path) => [...reach(path)]))]
  const size = isBuilt ? (name.startsWith('page') ? oneByOne : together)(files) : 0
  console.log(isBuilt ? `${name}: ${kB(size)} of ${most} kB gzipped` : `${name}: not built; npm run ${script}`)
  if (!isBuilt || size > most * 1000) process.exitCode = 1
}

const first = reach(`${PAGE}/index.html`)
const assets = existsSync(`${PAGE}/assets`) ? readdirSync(`${PAGE}/assets`).map((name) => `${PAGE}/assets/${name}`) : []
for (const path of assets.filter((path) => TEXT.test(path) && !first.has(path)).sort()) {
  console.log(`page, loaded later: ${path.replace(`${PAGE}/assets/`, '')} ${kB(oneByOne([path]))}`)
}
