import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createSurface, type Surface } from '../../mcp-server/surface.ts'
import { DAY, MINUTE, refusal, type TestProject, testTocsin } from '../core/open-test-tocsin.ts'
import { inRepository, pinnedNode, startChild } from '../support/child.ts'
import { databaseKinds } from '../support/databases.ts'
import { startTocsin } from '../support/tocsin-process.ts'
import { call, callError, surfaceOf } from './harness.ts'

describe.each(databaseKinds)('a new secret on %s', (kind) => {
  const t = testTocsin(kind)

  test('is shown once to someone with secrets:read, within ten minutes', async () => {
    const project = await t.project()
    const writer = await project.as('sources:write', 'sources:read')
    const { source, secret, reveal } = await writer.createSource(project.id, {
      adapter: 'grafana',
      reveal: true,
    })
    expect([secret, source.secret, reveal?.expiresAt]).toEqual([
      undefined,
      '********',
      t.clock.at(10 * MINUTE),
    ])

    const reader = await project.as('secrets:read')
    const { credential } = await reader.revealSecret(project.id, reveal!.id)
    const shown = (await t.admin.getSource(project.id, source.id)).source
    expect(credential).toMatchObject({ sourceId: source.id, secret: shown.secret, url: shown.url })
    expect((await refusal(reader.revealSecret(project.id, reveal!.id))).code).toBe('not_found')

    const rotated = await writer.rotateSource(project.id, source.id, { reveal: true })
    t.clock.pass(10 * MINUTE)
    expect((await refusal(reader.revealSecret(project.id, rotated.reveal!.id))).code).toBe('not_found')
  })

  test('of a token address is its URL, and dies with the next rotation', async () => {
    const project = await t.project()
    const made = await t.admin.createSource(project.id, { adapter: 'betterstack', reveal: true })
    expect(made.source.url).toMatch(/\*{8}$/)
    const again = await t.admin.rotateSource(project.id, made.source.id, { reveal: true })
    expect((await refusal(t.admin.revealSecret(project.id, made.reveal!.id))).code).toBe('not_found')
    const { credential } = await t.admin.revealSecret(project.id, again.reveal!.id)
    expect(credential.secret).toBeNull()
    expect(credential.url).toBe((await t.admin.getSource(project.id, made.source.id)).source.url)
  })

  test('ten who make a source of one name at once make one', async () => {
    const project = await t.project()
    const surface = await surfaceOf(project, ['sources:read', 'sources:write'])
    const made = await Promise.all(
      Array.from({ length: 10 }, () =>
        call(surface, 'configure_webhook', { source: 'Shop', provider: 'datadog' }),
      ),
    )
    expect(made.filter(({ created }) => created)).toHaveLength(1)
    expect(made.filter(({ secretState }) => secretState === 'pending_reveal')).toHaveLength(1)
    expect(new Set(made.map(({ webhooks }) => webhooks[0].sourceId)).size).toBe(1)
    const { sources } = await t.admin.listSources(project.id, { limit: 100 })
    expect(sources.map(({ name }) => name)).toEqual(['Shop'])
    // Two of one name stay possible for who wants them.
    await t.admin.createSource(project.id, { adapter: 'datadog', name: 'Shop' })
  })

  test('two who ask at once: one sees it', async () => {
    const project = await t.project()
    const { reveal } = await t.admin.createSource(project.id, { adapter: 'grafana', reveal: true })
    const answers = await Promise.allSettled(
      Array.from({ length: 5 }, () => t.admin.revealSecret(project.id, reveal!.id)),
    )
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })
})

describe('over MCP', () => {
  const t = testTocsin('sqlite')

  /** Everything a key can make an assistant see, and what the process logged meanwhile. */
  async function everythingSeen(
    project: TestProject,
    scopes: Parameters<TestProject['as']>,
  ): Promise<string> {
    const seen: unknown[] = []
    const log: unknown[] = []
    const surface: Surface = createSurface({
      tocsin: await project.as(...scopes),
      readOnly: false,
      log: (...line) => log.push(line),
      now: t.clock.now,
      random: () => crypto.randomUUID(),
    })
    const tool = async (name: string, args: object) => seen.push(await surface.callTool(name, args))
    for (const source of ['grafana', 'sentry', 'betterstack', 'generic', 'alertmanager']) {
      await tool('configure_webhook', { source })
      await tool('configure_webhook', { source, secretAction: 'rotate' })
      await tool('configure_webhook', { source, secretAction: 'enter' })
      await tool('configure_webhook', { source, enabled: false, severityDefault: 'low' })
      await tool('configure_webhook', { source, secret: 'no such argument' })
      await tool('get_webhook_url', { source, format: 'setup' })
      seen.push(await surface.readResource(`tocsin://sources/${source}`))
    }
    await tool('get_webhook_url', { format: 'setup' })
    await tool('list_incidents', { status: 'all' })
    seen.push(
      await surface.listResources(),
      await surface.listResourceTemplates(),
      await surface.listPrompts(),
    )
    seen.push(await t.admin.listToolCalls(project.id, { limit: 100 }))
    return JSON.stringify([seen, log])
  }

  async function secretsOf(project: TestProject): Promise<string[]> {
    const { sources } = await t.admin.listSources(project.id, { limit: 100 })
    return sources.map(({ secret, url }) => secret ?? url.split('/').at(-1)!)
  }

  test.each([
    ['what is needed', ['sources:read', 'sources:write', 'incidents:read']],
    ['admin, which implies secrets:read elsewhere', ['admin']],
  ] as const)('no secret is ever seen with %s', async (_, scopes) => {
    const project = await t.project()
    const text = await everythingSeen(project, [...scopes])
    const secrets = await secretsOf(project)
    expect(secrets).toHaveLength(5)
    for (const secret of secrets) {
      for (const form of [
        secret,
        Buffer.from(secret).toString('base64'),
        Buffer.from(secret).toString('hex'),
      ]) {
        expect(text).not.toContain(form)
      }
    }
  })

  test('a key that names secrets:read gets it once, in the answer that made it', async () => {
    const project = await t.project()
    const surface = await surfaceOf(project, ['sources:read', 'sources:write', 'secrets:read'])
    const made = await call(surface, 'configure_webhook', { source: 'grafana' })
    expect(made).toMatchObject({ secretState: 'shown' })
    expect([made.secret]).toEqual(await secretsOf(project))
    const again = await call(surface, 'configure_webhook', { source: 'grafana' })
    expect(JSON.stringify(again)).not.toContain(made.secret)
    const calls = await t.admin.listToolCalls(project.id, {})
    expect(JSON.stringify(calls)).not.toContain(made.secret)
  })
})

describe('the audit', () => {
  const t = testTocsin('sqlite')

  test('has a row per call: who, what, how it ended, without what may be a secret', async () => {
    const project = await t.project()
    const surface = await surfaceOf(project, ['incidents:read'])
    await call(surface, 'list_incidents', { status: 'all' })
    await callError(surface, 'get_incident', { incidentId: 'INC-009' })
    await callError(surface, 'configure_webhook', { source: 'grafana', secret: 'hunter2-hunter2' })
    await callError(surface, 'list_incidents', { query: 'password=hunter2-hunter2', sorce: 'x' })
    const { toolCalls } = await t.admin.listToolCalls(project.id, {})
    expect(toolCalls).toMatchObject([
      { tool: 'list_incidents', outcome: 'invalid_arguments', arguments: { sorce: '[removed]' } },
      {
        tool: 'configure_webhook',
        outcome: 'forbidden',
        arguments: { source: 'grafana', secret: '[removed]' },
      },
      { tool: 'get_incident', outcome: 'not_found', arguments: { incidentId: 'INC-009' } },
      {
        tool: 'list_incidents',
        outcome: 'ok',
        arguments: { status: 'all' },
        caller: { name: 'incidents:read' },
      },
    ])
    expect(JSON.stringify(toolCalls)).not.toContain('hunter2')
  })

  test('has no note, only how long it was', async () => {
    const project = await t.project()
    const surface = await surfaceOf(project, ['incidents:write'])
    await callError(surface, 'update_incident', { incidentId: 'INC-1', action: 'note', note: 'Ask Jo.' })
    const { toolCalls } = await t.admin.listToolCalls(project.id, {})
    expect(toolCalls[0]!.arguments).toMatchObject({ note: '[text, 7 characters]' })
  })

  test('is kept for 90 days, and not for other projects', async () => {
    const project = await t.project()
    const other = await t.project()
    const record = {
      projectId: project.id,
      tool: 'list_incidents',
      arguments: {},
      outcome: 'ok',
      durationMs: 1,
    }
    const mine = await project.as('events:write')
    await mine.recordToolCall(record)
    t.clock.pass(90 * DAY)
    await mine.recordToolCall({ ...record, outcome: 'internal' })
    expect((await t.admin.listToolCalls(project.id, {})).toolCalls).toHaveLength(2)
    t.clock.pass(MINUTE)
    await mine.recordToolCall(record)
    expect((await t.admin.listToolCalls(project.id, {})).toolCalls.map(({ outcome }) => outcome)).toEqual([
      'ok',
      'internal',
    ])
    expect((await t.admin.listToolCalls(other.id, {})).toolCalls).toEqual([])
    expect((await refusal(mine.recordToolCall({ ...record, projectId: other.id }))).code).toBe('not_found')
  })

  test('read-only wins over every scope', async () => {
    const project = await t.project()
    const surface = await surfaceOf(project, ['admin'], { readOnly: true })
    expect((await surface.listTools()).tools.map(({ name }) => name)).toEqual([
      'get_webhook_url',
      'list_incidents',
      'get_incident',
      'draft_postmortem',
    ])
    expect(await callError(surface, 'configure_webhook', { source: 'grafana' })).toMatch(/^\[read_only\]/)
    expect((await t.admin.listSources(project.id, {})).sources).toEqual([])
  })
})

describe('what goes with an address and a command says', () => {
  const t = testTocsin('sqlite')
  const scopes = ['sources:read', 'sources:write'] as const

  test('where the beginning of the address is a guess', async () => {
    const surface = await surfaceOf(await t.project(), scopes, { isAddressGuessed: true })
    const guess = `Its beginning, ${new URL((await call(surface, 'get_webhook_url')).webhooks[0].url).origin}, is a guess`
    const made = await call(surface, 'configure_webhook', { source: 'grafana' })
    expect(made.text.split('\n')[0]).toContain(guess)
    expect(made.webhooks[0].hint).toContain(guess)
    const got = await call(surface, 'get_webhook_url', { source: 'grafana' })
    expect(got.text).toContain(guess)
    expect(got.hint).toContain(guess)
  })

  test('which server the command needs', async () => {
    const project = await t.project()
    const { publicUrl } = (await t.admin.getIngestion(project.id)).ingestion
    const told = async (serverUrl: string | null | undefined, secretAction: string) => {
      const surface = await surfaceOf(project, scopes, serverUrl === undefined ? {} : { serverUrl })
      return (await call(surface, 'configure_webhook', { source: 'sentry', secretAction })).text.split(
        '\n',
      )[0]
    }
    for (const action of ['rotate', 'enter']) {
      expect(await told('http://10.0.0.7:4117', action)).toContain('TOCSIN_URL=http://10.0.0.7:4117 ')
      expect(await told(undefined, action)).toContain(`TOCSIN_URL=${publicUrl} `)
      expect(await told(null, action)).not.toContain('TOCSIN_URL')
      expect(await told(null, action)).not.toContain('guess')
    }
  })
})

test('npm run secret reveals once, and takes the secret a tool issued', async () => {
  const tocsin = await startTocsin()
  try {
    const secret = async (args: string[], env: Record<string, string>) => {
      const child = await startChild(
        '/bin/sh',
        [
          '-c',
          `printf '%s\\n' "$ISSUED" | "$0" "$@"`,
          pinnedNode,
          inRepository('mcp-server/secret.ts'),
          ...args,
        ],
        { cwd: tocsin.dataDir, env: { ISSUED: 'issued-by-the-tool', ...env } },
      )
      return { ...(await child.exited), stdout: child.stdout(), stderr: child.stderr() }
    }
    const local = { TOCSIN_DATA_DIR: tocsin.dataDir }
    const remote = { TOCSIN_URL: tocsin.address, TOCSIN_API_KEY: tocsin.adminKey }
    type Made = { source: { id: string }; reveal: { id: string } }
    const make = () =>
      tocsin.api<Made>('POST', `/projects/${tocsin.projectId}/sources`, {
        adapter: 'sentry',
        name: `Shop\u001b[2J\u202e${randomUUID()}`,
        reveal: true,
      })
    const stored = async ({ source }: Made) =>
      (
        await tocsin.api<{ source: { secret: string } }>(
          'GET',
          `/projects/${tocsin.projectId}/sources/${source.id}`,
        )
      ).source.secret

    const told = { ...local, TOCSIN_PUBLIC_URL: 'https://tocsin.example.com' }
    for (const env of [local, told, remote]) {
      const made = await make()
      const first = await secret(['reveal', made.reveal.id], env)
      expect([first.code, first.stderr]).toEqual([0, ''])
      expect(first.stdout).toContain(await stored(made))
      // The database does not know where its server is reached.
      if (env === local) expect(first.stdout).toContain('http://127.0.0.1:4117, is a guess')
      else expect(first.stdout).not.toContain('guess')
      if (env === told) expect(first.stdout).toContain('\nhttps://tocsin.example.com/')
      // A terminal would obey what is hidden in the name.
      expect(first.stdout).not.toContain('\u001b')
      expect(first.stdout).not.toContain('\u202e')
      const second = await secret(['reveal', made.reveal.id], env)
      expect([second.code, second.stdout]).toEqual([1, ''])
      expect(second.stderr).toContain('Not there')

      const set = await secret(['set', made.source.id], env)
      expect([set.code, set.stderr]).toEqual([0, ''])
      expect(await stored(made)).toBe('issued-by-the-tool')
      expect(set.stdout).not.toContain('issued-by-the-tool')
    }
    const none = await secret(['reveal', 'x'], { TOCSIN_DATA_DIR: join(tocsin.dataDir, 'none') })
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('there is no database')])
  } finally {
    await tocsin.dispose()
  }
})
