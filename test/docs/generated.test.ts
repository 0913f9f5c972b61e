import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { figuresPage } from '../bench/figures-page.ts'
import { inRepository } from '../support/child.ts'
import { renderPage } from '../support/generated-blocks.ts'
import { reliabilityPage } from '../support/reliability-page.ts'

test('the figures of docs/reliability.md are those the commands have written', () => {
  expect(readFileSync(inRepository('docs/reliability.md'), 'utf8')).toBe(renderPage(reliabilityPage))
})

test('the figures of docs/performance.md are those the commands have written', () => {
  expect(readFileSync(inRepository('docs/performance.md'), 'utf8')).toBe(renderPage(figuresPage))
})
