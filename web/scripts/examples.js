// Packs the library, installs it in a copy of each example, builds that and renders its page as a server does.
//
//     node scripts/examples.js [NAME]...      by default all
//
// The lock file of the Nuxt example has all but this library. Without it npm asks for 800 packages one after another, which
// takes minutes.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const examples = new URL('../examples/', import.meta.url).pathname
const web = new URL('..', import.meta.url).pathname
const names = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'condord-examples-'))
const INSTALL = ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']

function npm(cwd, ...words) {
  try {
    return execFileSync('npm', words, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_ENV: '' } })
  } catch (error) {
    process.stderr.write(error.stdout ?? '')
    throw new Error(`npm ${words.join(' ')} failed in ${cwd}`, { cause: error.code ?? error.status })
  }
}

try {
  // What is packed was built and checked before, so that its scripts need not run again.
  npm(web, 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder)
  const packed = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')))
  for (const name of names.length ? names : readdirSync(examples).sort()) {
    const began = Date.now()
    const copy = join(folder, name)
    cpSync(join(examples, name), copy, { recursive: true, filter: (path) => !/node_modules|dist|\.nuxt|\.output/.test(path.slice(examples.length)) })
    npm(copy, ...INSTALL, packed)
    npm(copy, 'run', '--if-present', 'check')
    npm(copy, 'run', 'build')
    const page = npm(copy, 'run', '--silent', 'render')
    if (!page.includes('Waiting for condord')) throw new Error(`${name}: the server did not render the card:\n${page}`)
    console.log(`${name}: built and rendered in ${Math.round((Date.now() - began) / 1000)} s`)
  }
} finally {
  rmSync(folder, { recursive: true })
}
