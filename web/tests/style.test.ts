import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const [card, legs, order] = ['card', 'legs', 'order'].map((name) => readFileSync(`src/${name}.css`, 'utf8')) as [string, string, string]
const tokens = readFileSync('src/tokens.css', 'utf8')
const ORDER = '@layer condor.tokens, condor.reset, condor.card, condor.shield;'

/** The text of `@layer name { … }`. */
const layer = (name: string) => card.split(`@layer ${name} {\n`)[1]!.split('\n}\n')[0]!

describe('the style of the card', () => {
  it('is in layers, in the same order wherever they are declared first', () => {
    for (const style of [card, legs, order, tokens]) {
      expect(style).toContain(ORDER)
      expect(style.match(/^[^\s/@}*]/gm)).toBeNull()
    }
  })

  it('takes all of its colours from the tokens', () => {
    expect((layer('condor.card') + legs + order).match(/#[0-9a-f]{3,8}\b|rgba?\(|hsl/g)).toBeNull()
    const used = new Set((card + legs + order).match(/(?<=var\()--c-[\w-]+/g))
    for (const name of used) expect(tokens).toContain(`  ${name}: `)
  })

  it('lets a host set every property that begins with --condor-, and sets none itself outside a setting of the page', () => {
    expect(card).not.toMatch(/--condor-[\w-]+:/)
    expect(tokens.match(/--condor-[\w-]+:/g)).toEqual(['--condor-gain:', '--condor-loss:'])
  })

  it('can be given exactly the properties that the README lists', () => {
    const listed = new Set(readFileSync('README.md', 'utf8').match(/--condor-[\w-]+/g))
    expect([...listed].sort()).toEqual([...new Set((card + tokens).match(/--condor-[\w-]+/g))].sort())
  })

  it('has the parts that the README lists', () => {
    const sources = readdirSync('src').filter((name) => name.endsWith('.vue')).map((name) => readFileSync(`src/${name}`, 'utf8'))
    const parts = new Set(sources.flatMap((source) => [...source.matchAll(/\bpart="(\w+)"/g)].map(([, part]) => part)))
    const [, listed] = /styled by `::part\(\)`: ([^.]*)\./.exec(readFileSync('README.md', 'utf8'))!
    expect([...listed!.matchAll(/`(\w+)`/g)].map(([, part]) => part).sort()).toEqual([...parts].sort())
  })

  it('is light or dark like its container', () => {
    expect(tokens.match(/light-dark\(/g)!.length).toBeGreaterThan(10)
    expect(card + tokens).not.toContain('prefers-color-scheme')
  })

  it('shields every property of every element, but not shapes and slots', () => {
    expect(layer('condor.shield')).toContain(':root .condor-card :not(svg *, .condor-slot *) {\n    all: revert-layer !important;')
    const others = layer('condor.shield').match(/: .*;/g)!
    expect(others.filter((value) => value !== ': revert-layer !important;')).toEqual([])
  })

  it('highlights nothing with prefers-reduced-motion', () => {
    const [calm, ...others] = card.split('@media not (prefers-reduced-motion: reduce) {')
    expect([calm!.includes('data-flash'), others.length]).toEqual([false, 1])
    expect(others[0]!.slice(0, others[0]!.indexOf('\n  }')).match(/data-flash/g)).toHaveLength(card.match(/data-flash/g)!.length)
    expect(card).not.toMatch(/transition|animation/)
  })

  it('draws the charts in forced system colours', () => {
    const forced = card.slice(card.indexOf('@media (forced-colors: active)'))
    for (const name of ['ink', 'soft', 'rule', 'gain', 'loss', 'critical']) expect(forced).toContain(`--c-${name}: CanvasText`)
  })

  it('never uses the colour of gain on a card that needs its owner', () => {
    const rule = card.split("  .condor-card:is([data-severity='critical'], [data-severity='warning']) {\n")[1]!.split('\n  }')[0]!
    expect(rule).toContain('--c-gain: var(--c-ink);')
    expect(rule).toContain('--c-accent: var(--c-ink);')
  })
})
