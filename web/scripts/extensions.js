// Adds extensions to the relative imports in dist/types; without them TypeScript resolves them to `any` under nodenext.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

const types = new URL('../dist/types/', import.meta.url)
const RELATIVE = /(\b(?:from|import) ?\(?['"]\.[^'"]*)(?=['"])/g

for (const name of readdirSync(types).filter((file) => file.endsWith('.d.ts'))) {
  const file = new URL(name, types)
  writeFileSync(file, readFileSync(file, 'utf8').replace(RELATIVE, '$1.js'))
}
