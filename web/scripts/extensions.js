// Gives the relative imports of dist/types their extensions, without which TypeScript takes them for `any` under nodenext.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

const types = new URL('../dist/types/', import.meta.url)
const RELATIVE = /(\b(?:from|import) ?\(?['"]\.[^'"]*)(?=['"])/g

for (const name of readdirSync(types).filter((each) => each.endsWith('.d.ts'))) {
  const file = new URL(name, types)
  writeFileSync(file, readFileSync(file, 'utf8').replace(RELATIVE, '$1.js'))
}
