import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { figuresPage } from '../bench/figures-page.ts'
import { FAULTS, ON_DEMAND } from '../chaos/faults.ts'
import { inRepository } from '../support/child.ts'
import { renderPage } from '../support/generated-blocks.ts'
import { reliabilityPage } from '../support/reliability-page.ts'

test('the figures of docs/reliability.md are those the commands have written', () => {
  expect(readFileSync(inRepository('docs/reliability.md'), 'utf8')).toBe(renderPage(reliabilityPage))
})

test('the rows of faults tell of what is promised today', () => {
  const rows: { id: string; promise: string }[] = JSON.parse(
    readFileSync(inRepository('docs/reliability/chaos.json'), 'utf8'),
  )
  for (const { id, promise } of rows) {
    const today = [...FAULTS, ...ON_DEMAND].filter((fault) => fault.id === id).map((fault) => fault.promise)
    expect(today, `npm run chaos -- ${id} --write`).toContain(promise)
  }
})

test('every fault has a row for each of its databases', () => {
  const rows: { id: string; database: string }[] = JSON.parse(
    readFileSync(inRepository('docs/reliability/chaos.json'), 'utf8'),
  )
  const found = rows.map(({ id, database }) => `${id} ${database}`)
  for (const { id, databases } of [...FAULTS, ...ON_DEMAND])
    for (const database of databases)
      expect(found, `npm run chaos -- ${id} --write`).toContain(`${id} ${database}`)
})

test('the figures of docs/performance.md are those the commands have written', () => {
  expect(readFileSync(inRepository('docs/performance.md'), 'utf8')).toBe(renderPage(figuresPage))
})
