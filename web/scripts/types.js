// Writes src/api.d.ts from the daemon's OpenAPI document: of a running daemon (a URL), of a file, or of this clone.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import openapiTS, { astToString } from 'openapi-typescript'

const clone = new URL('../../', import.meta.url)
const target = new URL('../src/api.d.ts', import.meta.url)
const HEADER = '// Made by `npm run types` from /openapi.json; not edited by hand.\n\n'
const PRINT = `
import sys, msgspec
from condord import __version__
from condord.http.app import ROUTES
from condord.http.openapi import document
sys.stdout.buffer.write(msgspec.json.encode(document(ROUTES, __version__)))
`

const python = process.env.PYTHON ?? '.venv/bin/python'

async function read(source) {
  if (!source) return execFileSync(python, ['-c', PRINT], { cwd: clone, encoding: 'utf8' })
  if (/^https?:/.test(source)) return (await fetch(source)).text()
  return readFileSync(source, 'utf8')
}

function stop(error) {
  if (error.syscall !== `spawnSync ${python}`) throw error
  console.error(`npm run types: no ${python} in the clone; make it, or name a running daemon's /openapi.json or a file`)
  process.exit(1)
}

const [source, output = target] = process.argv.slice(2)
const types = await openapiTS(await read(source).catch(stop), { defaultNonNullable: false })
writeFileSync(output, HEADER + astToString(types))
