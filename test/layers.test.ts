import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

interface Import {
  /** The file that imports, from the root. */
  from: string
  /** A file from the root, `node:…`, or the name of a package. */
  to: string
  typeOnly: boolean
}

/** Folders of the product: a new one has to find its place in this table first. */
const FOLDERS = ['console', 'core', 'docs', 'ingest', 'mcp-server', 'n8n-nodes', 'test']

/** Built-in modules that touch neither disk, network nor clock. */
const PURE_BUILT_INS = ['node:crypto', 'node:net', 'node:util', 'node:buffer']

/**
 * Who may import what at run time, the most particular folder first. A package stands for itself and for what is below
 * it. What a file takes as types only binds nobody, but for `notEvenTypes`.
 */
const LAYERS: { who: string; may: string[]; notEvenTypes?: string[] }[] = [
  { who: 'core/api-types.ts', may: [], notEvenTypes: [''] },
  { who: 'core/types.ts', may: [] },
  { who: 'core/errors.ts', may: [] },
  {
    who: 'core/matcher/',
    may: ['core/matcher/', 'core/types.ts'],
    notEvenTypes: ['core/store/', 'core/adapters/', 'core/use-cases/', 'kysely', 'pg', 'better-sqlite3'],
  },
  {
    // Bytes into JSON: for every adapter, and before any of them.
    who: 'core/adapters/read-body.ts',
    may: ['core/errors.ts', 'secure-json-parse', 'node:buffer'],
  },
  {
    who: 'core/adapters/',
    may: ['core/adapters/', 'core/types.ts', 'core/errors.ts', 'zod', 'node:crypto', 'node:buffer'],
    notEvenTypes: ['core/store/', 'core/matcher/', 'core/use-cases/'],
  },
  {
    who: 'core/store/',
    may: [
      'core/store/',
      'core/types.ts',
      'core/errors.ts',
      'kysely',
      'pg',
      'better-sqlite3',
      ...['node:child_process', 'node:crypto', 'node:fs', 'node:path', 'node:stream/promises'],
      ...['node:timers/promises', 'node:util'],
    ],
    notEvenTypes: ['core/adapters/', 'core/delivery/', 'core/use-cases/'],
  },
  {
    who: 'core/delivery/',
    may: [
      ...['core/delivery/', 'core/store/', 'core/types.ts', 'core/errors.ts', 'core/ids.ts'],
      ...['undici', 'ipaddr.js', 'node:'],
    ],
    notEvenTypes: ['core/adapters/', 'core/matcher/'],
  },
  {
    // The only place that knows a model: loaded where one is configured.
    who: 'core/postmortem/model.ts',
    may: ['core/postmortem/', 'openai'],
    notEvenTypes: ['core/adapters/', 'core/matcher/'],
  },
  {
    who: 'core/postmortem/',
    may: [
      ...['core/postmortem/', 'core/store/', 'core/types.ts', 'core/errors.ts'],
      ...['core/reference.ts', 'core/untrusted-text.ts'],
    ],
    notEvenTypes: ['core/adapters/', 'core/matcher/'],
  },
  { who: 'core/', may: ['core/', 'kysely', 'zod', ...PURE_BUILT_INS], notEvenTypes: ['express', 'ingest/'] },
  {
    who: 'ingest/',
    may: [
      'ingest/',
      '@tocsin/core',
      '@tocsin/mcp-server',
      'express',
      'helmet',
      'pino',
      'pino-pretty',
      'zod',
      'node:',
    ],
    notEvenTypes: ['core/', '@tocsin/core/', 'kysely', 'pg', 'better-sqlite3'],
  },
  {
    // Works on the server's own database where it is told of no other server.
    who: 'mcp-server/connection.ts',
    may: ['mcp-server/', '@tocsin/core', '@tocsin/ingest/local'],
    notEvenTypes: ['core/', '@tocsin/core/', 'kysely', 'pg', 'better-sqlite3'],
  },
  ...['mcp-server/main.ts', 'mcp-server/secret.ts'].map((who) => ({
    // Programs: settings and signals are the same for each of ours.
    who,
    may: [
      'mcp-server/',
      '@tocsin/core',
      '@tocsin/ingest/settings-file',
      '@tocsin/ingest/stop-signal',
      'node:',
    ],
    notEvenTypes: ['core/', '@tocsin/core/', 'kysely', 'pg', 'better-sqlite3'],
  })),
  {
    who: 'mcp-server/',
    may: ['mcp-server/', '@tocsin/core', '@modelcontextprotocol/', 'zod', 'node:'],
    notEvenTypes: ['core/', '@tocsin/core/', 'ingest/', 'kysely', 'pg', 'better-sqlite3'],
  },
  { who: 'n8n-nodes/', may: ['n8n-nodes/', 'n8n-workflow', 'node:crypto'], notEvenTypes: ['ingest/'] },
]

const files = FOLDERS.filter((folder) => !['test', 'console', 'docs'].includes(folder)).flatMap(sourcesOf)
const imports = files.flatMap(importsOf)

describe('who imports what', () => {
  test('every source file stands in a layer', () => {
    expect(files.length).toBeGreaterThan(50)
    expect(files.filter((file) => !layerOf(file))).toEqual([])
  })

  test.each(LAYERS.filter(({ who }) => files.some((file) => file.startsWith(who))))(
    '$who imports what it may',
    (layer) => {
      const own = imports.filter(({ from }) => layerOf(from) === layer)
      const wrong = own.filter(({ to, typeOnly }) =>
        typeOnly ? matches(layer.notEvenTypes ?? [], to) : !matches(layer.may, to),
      )
      expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
    },
  )

  test('the only way into core from outside is its index', () => {
    const deep = imports.filter(
      ({ from, to }) =>
        !from.startsWith('core/') && (to.startsWith('core/') || to.startsWith('@tocsin/core/')),
    )
    expect(deep).toEqual([])
  })

  test('each SDK of MCP is known to one file', () => {
    const users = (sdk: RegExp) => [
      ...new Set(imports.filter(({ to }) => sdk.test(to)).map(({ from }) => from)),
    ]
    expect(users(/^@modelcontextprotocol\/sdk/)).toEqual(['mcp-server/sdk-2025.ts'])
    expect(users(/^@modelcontextprotocol\/(?!sdk)/)).toEqual(['mcp-server/sdk-2026.ts'])
  })

  test('the database drivers are known to the files of the two databases and the one that copies them', () => {
    const users = imports.filter(({ to }) => to === 'pg' || to === 'better-sqlite3').map(({ from }) => from)
    expect([...new Set(users)].toSorted()).toEqual([
      'core/store/backup.ts',
      'core/store/postgres.ts',
      'core/store/sqlite.ts',
    ])
  })

  test('an adapter of one tool knows nothing of another', () => {
    const slugs = importsOf('core/adapters/registry.ts').map(({ to }) => to)
    const tools = slugs.filter((to) => to.startsWith('core/adapters/') && !to.endsWith('/adapter.ts'))
    expect(tools.length).toBeGreaterThan(3)
    const wrong = imports.filter(({ from, to }) => tools.includes(to) && from !== 'core/adapters/registry.ts')
    expect(wrong).toEqual([])
  })

  test('the clock, chance and the environment come in as arguments where decisions are made', () => {
    const impure = /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bprocess\.|\bfetch\(|\bsetTimeout\(/
    const wrong = files.filter(
      (file) => /^core\/(matcher|adapters)\//.test(file) && impure.test(withoutComments(readSource(file))),
    )
    expect(wrong).toEqual([])
  })

  test('top-level folders are those of the design', () => {
    const folders = readdirSync(ROOT, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
    const others = ['docs', 'node_modules', 'data', 'coverage', 'dist']
    expect(folders.filter((name) => !FOLDERS.includes(name) && !others.includes(name))).toEqual([])
  })
})

test('imports are read in every form', () => {
  const text = `
    import { a } from './a.ts'
    import type { B } from '../b.ts'
    import c, { type D } from 'c/d'
    import { type E } from 'only-types'
    import 'effect'
    export { f } from './f.ts'
    export type * from './g.ts'
    export * from './h.ts'
    // import { no } from 'comment'
    const i = await import('dynamic')
    const j = require('required')
    import {
      many,
      lines,
    } from 'many-lines'
  `
  expect(readImports('core/x/y.ts', text).map(({ to, typeOnly }) => [to, typeOnly])).toEqual([
    ['core/x/a.ts', false],
    ['core/b.ts', true],
    ['c/d', false],
    ['only-types', true],
    ['effect', false],
    ['core/x/f.ts', false],
    ['core/x/g.ts', true],
    ['core/x/h.ts', false],
    ['many-lines', false],
    ['dynamic', false],
    ['required', false],
  ])
})

// ---- reading sources ----

function sourcesOf(folder: string): string[] {
  const entries = readdirSync(ROOT).includes(folder)
    ? readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    : []
  return entries
    .map((path) => join(folder, path))
    .filter((path) => /\.[cm]?tsx?$/.test(path) && !/(^|\/)(node_modules|dist)\//.test(path))
    .sort()
}

function readSource(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

function importsOf(file: string): Import[] {
  return readImports(file, readSource(file))
}

function readImports(from: string, source: string): Import[] {
  const text = withoutComments(source)
  const statements = text.matchAll(
    /^\s*(?:(?:import|export)\b([\w\s{},*$]*?)\bfrom|import)\s*['"]([^'"]+)['"]/gm,
  )
  const calls = text.matchAll(/\b(?:import|require)\(\s*['"]([^'"]+)['"]/g)
  return [
    ...Array.from(statements, ([, names = '', to = '']) => ({
      from,
      to: resolve(from, to),
      typeOnly: isTypeOnly(names),
    })),
    ...Array.from(calls, ([, to = '']) => ({ from, to: resolve(from, to), typeOnly: false })),
  ]
}

function isTypeOnly(names: string): boolean {
  if (/^\s*type\b/.test(names)) return true
  const listed = /^\s*\{([^}]*)\}\s*$/.exec(names)?.[1]
  const each = listed?.split(',').map((name) => name.trim()) ?? []
  return each.some((name) => name !== '') && each.every((name) => name === '' || name.startsWith('type '))
}

function resolve(from: string, to: string): string {
  if (to.startsWith('.')) return relative(ROOT, join(ROOT, dirname(from), to))
  return builtinModules.includes(to) ? `node:${to}` : to
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
}

function layerOf(file: string): (typeof LAYERS)[number] | undefined {
  return LAYERS.find(({ who }) => file.startsWith(who))
}

function matches(list: readonly string[], to: string): boolean {
  return list.some((one) => {
    if (one === '' || to === one) return true
    const isFile = one.endsWith('.ts')
    return !isFile && to.startsWith(/[/:]$/.test(one) ? one : `${one}/`)
  })
}
