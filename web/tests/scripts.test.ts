// @vitest-environment node
/** The scripts, with and without what they need. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'

function run(script: string, env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8', env: { ...process.env, ...env } })
  return { status, lines: (stdout + stderr).trim().split('\n') }
}

/** Copies the script into a new directory with these files. */
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
  'web/dist/analysis.js': '1',
  'web/dist/card.js': '1',
  'web/dist/card.css': 'p{}',
  'web/dist/element/iron-condor-card.js': '1',
  'condord/http/page/index.html': '<p>',
}

it('the size check passes if everything is built and within budget', () => {
  const { status, lines } = run(copyOf('size.js', BUILT))
  expect(lines).toContain('page, first load: 0.0 kB of 60 kB gzipped')
  expect(status).toBe(0)
})

/** Text that cannot be compressed, of this many bytes. */
const noise = (bytes: number) => `/*${randomBytes((bytes * 3) / 4).toString('base64')}*/`

it('the size check counts imported modules, and lists modules loaded later separately', () => {
  const files = {
    'condord/http/page/index.html': '<script type="module" src="./assets/main-1.js"></script><link rel="stylesheet" href="./assets/main.css">',
    'condord/http/page/assets/main-1.js': `import{a}from"./shared.js";const later=()=>import("./chart.js")`,
    'condord/http/page/assets/shared.js': noise(40_000),
    'condord/http/page/assets/main.css': noise(15_000),
    'condord/http/page/assets/chart.js': `import"./shared.js";${noise(70_000)}`,
    'web/dist/condord-web.js': 'export{f}from"./follow.js"',
    'web/dist/follow.js': noise(11_000),
  }
  const { status, lines } = run(copyOf('size.js', { ...BUILT, ...files }))
  expect(lines.find((line) => line.startsWith('page, first load'))).toMatch(/^page, first load: 4\d\.\d kB of 60 kB gzipped$/)
  expect(lines.find((line) => line.startsWith('library:'))).toMatch(/^library: 8\.\d kB of 8 kB gzipped$/)
  expect(lines.at(-1)).toMatch(/^page, loaded later: chart\.js 5\d\.\d kB$/)
  expect(status).toBe(1)
})

it('the size check fails if something is not built and names the script that builds it', () => {
  const { 'web/dist/card.css': _, 'condord/http/page/index.html': __, ...built } = BUILT
  const { status, lines } = run(copyOf('size.js', built))
  expect(lines.filter((line) => line.includes('not built'))).toEqual([
    'card: not built; npm run build:lib',
    'page, first load: not built; npm run build:page',
  ])
  expect(status).toBe(1)
})

it('the types script without Python fails with one line', () => {
  const { status, lines } = run('scripts/types.js', { PYTHON: 'no-such-python' })
  expect(lines).toEqual([expect.stringContaining('no no-such-python in the clone')])
  expect(status).toBe(1)
}, 30_000) // it starts Node and loads openapi-typescript
