import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
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

test('the README shows pictures that are there', () => {
  const readme = readFileSync(join(FOLDER, 'README.md'), 'utf8')
  const pictures = Array.from(readme.matchAll(/!\[[^\]]+\]\(([^)]+)\)/g), ([, file]) => file!)
  expect(pictures.length).toBeGreaterThan(2)
  expect(pictures.filter((file) => !existsSync(join(FOLDER, file)))).toEqual([])
})

test('CI runs the nodes in a real n8n; what is published passed that, and says where it was built', () => {
  const read = (name: string) =>
    parse(readFileSync(inRepository(`.github/workflows/${name}.yml`), 'utf8')) as {
      on: { pull_request?: { paths: string[] } }
      permissions: Record<string, string>
      jobs: Record<string, { steps: { run?: string }[] }>
    }
  const runs = (steps: { run?: string }[]) => steps.flatMap(({ run }) => run ?? [])
  const { on, jobs: tested } = read('n8n-nodes')
  expect(runs(tested.test!.steps)).toContain('npm run test:n8n')
  // What its tests import, what is installed, and itself.
  expect(on.pull_request!.paths).toEqual(
    expect.arrayContaining([
      'test/demo/**',
      'test/support/**',
      'package-lock.json',
      '.github/workflows/n8n-nodes.yml',
    ]),
  )
  const { permissions, jobs } = read('n8n-nodes-publish')
  expect(permissions['id-token']).toBe('write')
  expect(runs(jobs.publish!.steps).slice(-2)).toEqual([
    'npm run test:n8n',
    'npm publish --provenance --access public',
  ])
})
