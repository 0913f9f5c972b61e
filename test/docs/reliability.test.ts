import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { inRepository } from '../support/child.ts'
import { renderReliability } from '../support/reliability-page.ts'

test('the figures of docs/reliability.md are those the commands have written', () => {
  expect(readFileSync(inRepository('docs/reliability.md'), 'utf8')).toBe(renderReliability())
})
