/** The card and the terminal close what is left of a broken condor by the same order: both are tested with one file of cases. */
import { expect, it } from 'vitest'
import { closingOrder } from '../src/closingOrder'
import type { Broken, Quote } from '../src/document'
import { format } from '../src/format'
import { leftOf } from '../src/left'
import { unusableQuotes } from '../src/orderDoubts'
import { broken, quote } from './account'
import { cases } from './left.cases.json'

it.each(cases)('$name', ({ quantity, legs, order, mid, natural }) => {
  const lost: Broken = { ...broken('SPY-1', {}, quantity), legs: legs.map((leg) => ({ ...leg, quantity })) as Broken['legs'] }
  const quotes = new Map(legs.map((leg) => [leg.symbol, quote(leg.symbol, leg as Partial<Quote>)]))
  const left = leftOf(lost, quotes)
  const atMid = closingOrder(left, { price: 'mid' })
  const atNatural = unusableQuotes(left, quotes, format).length ? null : closingOrder(left, { price: 'natural' })
  expect(atMid?.text.split('\n').slice(1) ?? order).toEqual(order)
  const limit = (text: string | undefined) => text?.split('\n')[0]!.replace(/.*, limit (.*), day order/, '$1') ?? null
  expect([limit(atMid?.text), limit(atNatural?.text)]).toEqual([mid, natural])
})
