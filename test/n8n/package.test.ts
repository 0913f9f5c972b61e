import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, inject, onTestFinished, test } from 'vitest'
import { inRepository, pinnedNode, startChild } from '../support/child.ts'
import { scratchDir } from '../support/scratch.ts'
import { unpackedNodes } from './pack.ts'

interface Manifest {
  license: string
  dependencies?: object
  scripts: Record<string, string>
  n8n: { nodes: string[]; credentials: string[] }
}

test('npm packs what n8n loads, and nothing it would have to install', () => {
  const dir = unpackedNodes()
  const manifest = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as Manifest
  expect(manifest.license).toBe('MIT')
  expect(manifest.dependencies).toBeUndefined()
  for (const file of [...manifest.n8n.nodes, ...manifest.n8n.credentials]) {
    expect(existsSync(join(dir, file)), file).toBe(true)
  }
  for (const file of [
    'dist/icons/tocsin.svg',
    'dist/icons/tocsin.dark.svg',
    'dist/nodes/Tocsin/Tocsin.node.json',
    'dist/nodes/TocsinTrigger/TocsinTrigger.node.json',
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
  ]) {
    expect(existsSync(join(dir, file)), file).toBe(true)
  }
  expect(readdirSync(join(dir, 'workflows'))).toHaveLength(10)
  const sources = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )
  expect(sources).toEqual([])
})

/** The sources as n8n's checks want them: a package of its own, beside their tools. */
async function copyOfSources(): Promise<string> {
  const scratch = await scratchDir()
  onTestFinished(scratch.remove)
  const dir = join(scratch.path, 'n8n-nodes')
  for (const file of [
    'package.json',
    'tsconfig.json',
    'eslint.config.mjs',
    'README.md',
    'credentials',
    'nodes',
    'icons',
  ]) {
    cpSync(inRepository(`n8n-nodes/${file}`), join(dir, file), { recursive: true })
  }
  cpSync(inRepository('tsconfig.json'), join(scratch.path, 'tsconfig.json'))
  symlinkSync(join(inject('checksDir'), 'node_modules'), join(dir, 'node_modules'))
  return dir
}

async function runNode(dir: string, ...args: string[]) {
  const child = await startChild(pinnedNode, args, { cwd: dir })
  const { code } = await child.exited
  return { code, said: child.stdout() + child.stderr() }
}

test("n8n's strict lint is clean, and would not be with an error swallowed", async () => {
  const dir = await copyOfSources()
  const lint = () => runNode(dir, 'node_modules/@n8n/node-cli/bin/n8n-node.mjs', 'lint')
  const { code, said } = await lint()
  expect(said).not.toMatch(/error|warning/i)
  expect(code).toBe(0)

  const trigger = join(dir, 'nodes/TocsinTrigger/TocsinTrigger.node.ts')
  const swallowed = readFileSync(trigger, 'utf8').replace(
    'await unregister(this)',
    'try { await unregister(this) } catch { return true }',
  )
  writeFileSync(trigger, swallowed)
  expect(await lint()).toMatchObject({ code: 1, said: expect.stringContaining('no-silent-error-swallowing') })
})

test("n8n's scan passes sources and package, and would not with the file system in them", async () => {
  const dir = await copyOfSources()
  const script = `
    import { analyzePackage, SOURCE_FILE_PATTERNS } from '@n8n/scan-community-package/scanner/scanner.mjs'
    const [sources, packed] = process.argv.slice(1)
    const results = [await analyzePackage(sources, SOURCE_FILE_PATTERNS), await analyzePackage(packed, ['**/*.js', 'package.json'])]
    console.log(JSON.stringify(results.map(({ passed, details }) => ({ passed, details }))))
    process.exit(0)`
  const scan = async () => {
    const { said } = await runNode(dir, '--input-type=module', '--eval', script, dir, unpackedNodes())
    return JSON.parse(said.trim().split('\n').at(-1)!) as { passed: boolean; details?: string }[]
  }
  expect(await scan()).toEqual([{ passed: true }, { passed: true }])

  writeFileSync(
    join(dir, 'nodes/shared/answer.ts'),
    "import { readFileSync } from 'node:fs'\nexport const x = readFileSync\n",
  )
  const [sources] = await scan()
  expect(sources).toMatchObject({ passed: false, details: expect.stringContaining('no-restricted-imports') })
})
