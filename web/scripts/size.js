// Fails if something is not built or exceeds its budget, gzipped as by the daemon, in kB of 1000 bytes.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const BUDGETS = [
  ['library', 5, ['dist/condord-web.js'], 'build:lib'],
  ['card', 6.5, ['dist/card.js', 'dist/card.css'], 'build:lib'],
  ['element', 40, ['dist/element/iron-condor-card.js'], 'build:element'],
  ['page', 42, ['../condord/http/page'], 'build:page'],
]
const SENT = /\.(css|html|js|svg)$/

process.chdir(new URL('..', import.meta.url).pathname)

function sizeOf(path) {
  if (!existsSync(path)) return 0
  if (!statSync(path).isDirectory()) return SENT.test(path) ? gzipSync(readFileSync(path), { level: 9 }).length : 0
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(`${path}/${name}`), 0)
}

for (const [name, most, paths, script] of BUDGETS) {
  const sizes = paths.map(sizeOf)
  const size = sizes.reduce((sum, size) => sum + size, 0) / 1000
  const isBuilt = sizes.every(Boolean)
  console.log(isBuilt ? `${name}: ${size.toFixed(1)} kB of ${most} kB gzipped` : `${name}: not built; npm run ${script}`)
  if (!isBuilt || size > most) process.exitCode = 1
}
