/** The page and the terminal write the sentence of an alert in the same form: both are tested with one file of cases. */
import { expect, it } from 'vitest'
import { currentText } from '../src/alarm'
import type { Alert } from '../src/document'
import { format } from '../src/format'
import cases from './alarm.cases.json'

const { alerts, since } = cases
const now = Date.parse(cases.now)

it.each(alerts)('$text', ({ text, sentence }) =>
  expect(currentText({ text, since } as Alert, null, format, now)).toBe(sentence.replace('{since}', format.clock(since, now))),
)
