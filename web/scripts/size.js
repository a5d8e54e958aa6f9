// Fails where more is sent than promised: gzipped, in kB of 1000 bytes, over whatever of these has been built.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const BUDGETS = [
  ['library', 5, ['dist/condord-web.js']],
  ['card', 6, ['dist/card.js', 'dist/card.css']],
  ['element', 40, ['dist/element/iron-condor-card.js']],
  ['page', 40, ['../condord/http/page']],
]
const SENT = /\.(css|html|js|svg)$/

process.chdir(new URL('..', import.meta.url).pathname)

function sizeOf(path) {
  if (!existsSync(path)) return 0
  if (!statSync(path).isDirectory()) return SENT.test(path) ? gzipSync(readFileSync(path)).length : 0
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(`${path}/${name}`), 0)
}

for (const [name, most, paths] of BUDGETS) {
  const size = paths.reduce((sum, path) => sum + sizeOf(path), 0) / 1000
  console.log(size ? `${name}: ${size.toFixed(1)} kB of ${most} kB gzipped` : `${name}: not built`)
  if (size > most) process.exitCode = 1
}
