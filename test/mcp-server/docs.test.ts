import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { tools } from '../../mcp-server/tools/index.ts'
import { questions } from '../evals/questions.ts'
import { inRepository } from '../support/child.ts'

const read = (path: string) => readFileSync(inRepository(path), 'utf8')
const page = read('docs/connect-assistant.md')
const scripts = JSON.parse(read('package.json')).scripts as Record<string, string>

/** The JSON below each heading of the page. */
const configurations = Map.groupBy(
  Array.from(
    page.matchAll(/^## (.+)\n(?:(?!^## )[\s\S])*?```json\n([\s\S]*?)```/gm),
    ([, heading, json]) => ({
      heading: heading!,
      json: json!,
    }),
  ),
  ({ heading }) => heading,
)

interface Server {
  command?: string
  args?: string[]
  env?: Record<string, string>
  url?: string
  headers?: Record<string, string>
}

describe('the page on assistants', () => {
  test.each(['Claude Desktop', 'Claude Code', 'Cursor', 'VS Code', 'n8n'])(
    'has JSON for %s that fits',
    (client) => {
      const [{ json }] = configurations.get(client) as unknown as [{ json: string }]
      const config = JSON.parse(json)
      if (client === 'n8n') {
        const [{ parameters }] = config.nodes
        expect(new URL(parameters.endpointUrl).pathname).toBe('/mcp')
        return
      }
      const { tocsin } = (config.mcpServers ?? config.servers) as { tocsin: Server }
      if (tocsin.url !== undefined) {
        expect(tocsin.url).toBe('http://127.0.0.1:4117/mcp')
        expect(tocsin.headers?.Authorization).toMatch(/^Bearer ./)
        return
      }
      const [silent, prefix, path, run, script] = tocsin.args!
      expect([tocsin.command, silent, prefix, path, run]).toEqual([
        'npm',
        '--silent',
        '--prefix',
        '/path/to/tocsin',
        'run',
      ])
      const [, file] = /^node (\S+)$/.exec(scripts[script!]!)!
      expect(existsSync(inRepository(file!))).toBe(true)
      expect(Object.keys(tocsin.env!)).toEqual(['TOCSIN_URL', 'TOCSIN_API_KEY'])
    },
  )

  test('names commands, tools and counts that are so', () => {
    for (const [, script] of page.matchAll(/npm run ([\w:]+)/g))
      expect(Object.keys(scripts)).toContain(script)
    for (const { name } of tools) expect(page).toContain(`\`${name}\``)
    expect(page).toContain(`${questions.length} questions`)
  })
})

/** What the registry's schema of 2025-12-11 asks of a server that comes as an npm package and is also hosted by its users. */
const Input = z.strictObject({
  description: z.string(),
  isRequired: z.boolean(),
  isSecret: z.boolean().optional(),
  format: z.enum(['string', 'number', 'boolean', 'filepath']).optional(),
  placeholder: z.string().optional(),
})
const Named = Input.extend({
  name: z.string().min(1),
  value: z.string().optional(),
  variables: z.record(z.string(), Input).optional(),
})
const ServerJson = z.strictObject({
  $schema: z.literal('https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json'),
  name: z
    .string()
    .regex(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/)
    .min(3)
    .max(200),
  title: z.string().min(1).max(100),
  description: z.string().min(1).max(100),
  version: z.string().regex(/^\d+\.\d+\.\d+$/),
  packages: z
    .array(
      z.strictObject({
        registryType: z.literal('npm'),
        identifier: z.string().min(1),
        version: z.string().regex(/^\d+\.\d+\.\d+$/),
        transport: z.strictObject({ type: z.literal('stdio') }),
        environmentVariables: z.array(Named),
      }),
    )
    .length(1),
  remotes: z
    .array(
      z.strictObject({
        type: z.literal('streamable-http'),
        // The registry refuses a variable in the place of the scheme.
        url: z.string().regex(/^https:\/\/[^\s]+$/),
        variables: z.record(z.string(), Input),
        headers: z.array(Named),
      }),
    )
    .length(1),
})

test('server.json fits the registry and the package it names', () => {
  const server = ServerJson.parse(JSON.parse(read('mcp-server/server.json')))
  const manifest = JSON.parse(read('mcp-server/package.json'))
  const [entry] = server.packages
  expect(server.name).toBe(manifest.mcpName)
  expect([entry?.identifier, entry?.version, server.version]).toEqual([
    manifest.name,
    manifest.version,
    manifest.version,
  ])
  const secret = entry?.environmentVariables.find(({ name }) => name === 'TOCSIN_API_KEY')
  expect(secret?.isSecret).toBe(true)

  const [remote] = server.remotes
  const [header] = remote!.headers
  const filledIn = (text: string, variables: object = {}) =>
    text.replace(/\{(\w+)\}/g, (_, name) => (name in variables ? `my-${name.replace('_', '-')}` : '?'))
  expect(filledIn(remote!.url, remote!.variables)).toBe('https://my-tocsin-host/mcp')
  expect([header?.name, header?.isSecret]).toEqual(['Authorization', true])
  expect(filledIn(header!.value!, header!.variables)).toBe('Bearer my-api-key')
})

test('whoever looks for the package is told that it is not published', () => {
  const { name, private: isPrivate } = JSON.parse(read('mcp-server/package.json'))
  expect(page.includes(`\`${name}\` is not on npm yet`)).toBe(isPrivate === true)
})
