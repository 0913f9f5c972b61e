import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { inRepository } from '../support/child.ts'

const FOLDER = inRepository('n8n-nodes')

test('every address of the project is in the repository that the package names', () => {
  const { repository } = JSON.parse(readFileSync(join(FOLDER, 'package.json'), 'utf8')) as {
    repository: { url: string }
  }
  const ours = repository.url.replace(/^git\+|\.git$/g, '')
  const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter(
    (file) => /\.(ts|json|md)$/.test(file) && !/^(node_modules|dist|workflows)/.test(file),
  )
  const addresses = files.flatMap((file) =>
    Array.from(
      readFileSync(join(FOLDER, file), 'utf8').matchAll(/https:\/\/github\.com\/[\w-]+\/tocsin/g),
      ([address]) => address,
    ),
  )
  expect(addresses.length).toBeGreaterThan(5)
  expect(new Set(addresses)).toEqual(new Set([ours]))
})
