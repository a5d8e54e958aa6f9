// @vitest-environment node
/** The scripts, where what they need is not there. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'

function run(script: string, env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8', env: { ...process.env, ...env } })
  return { status, lines: (stdout + stderr).trim().split('\n') }
}

/** A place of its own for the script, with these files. */
function copyOf(script: string, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'condord-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  cpSync('scripts', join(root, 'web/scripts'), { recursive: true })
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return join(root, 'web/scripts', script)
}

const BUILT = {
  'web/package.json': '{"type": "module"}',
  'web/dist/condord-web.js': '1',
  'web/dist/card.js': '1',
  'web/dist/card.css': 'p{}',
  'web/dist/element/iron-condor-card.js': '1',
  'condord/http/page/index.html': '<p>',
}

it('the sizes are fine where all is built and small', () => {
  const { status, lines } = run(copyOf('size.js', BUILT))
  expect(lines).toContain('page: 0.0 kB of 40 kB gzipped')
  expect(status).toBe(0)
})

it('the sizes fail where something is not built, and say what builds it', () => {
  const { 'web/dist/card.css': _, 'condord/http/page/index.html': __, ...built } = BUILT
  const { status, lines } = run(copyOf('size.js', built))
  expect(lines.filter((line) => line.includes('not built'))).toEqual([
    'card: not built; npm run build:lib',
    'page: not built; npm run build:page',
  ])
  expect(status).toBe(1)
})

it('the types want a Python, and say so in a line', () => {
  const { status, lines } = run('scripts/types.js', { PYTHON: 'no-such-python' })
  expect(lines).toEqual([expect.stringContaining('no no-such-python in the clone')])
  expect(status).toBe(1)
})
