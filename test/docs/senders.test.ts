import { adapters } from '@tocsin/core'
import { expect, test } from 'vitest'
import { documents } from './senders.ts'

test.each(documents())('$name says what the adapters say; npm run docs writes it', ({ is, shouldBe }) => {
  expect(is).toBe(shouldBe)
})

test('every sender stands in the table of README.md and has its section with each step', () => {
  const [readme, senders] = documents()
  for (const { slug, setup } of adapters) {
    expect(readme!.is).toContain(`| \`${slug}\` |`)
    expect(senders!.is).toContain(`- Adapter: \`${slug}\`.`)
    for (const step of setup) {
      expect(senders!.is).toContain(step.replaceAll('{url}', 'the `url` of the source'))
    }
  }
})
