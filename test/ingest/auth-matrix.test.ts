import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hmacSha256 } from '../../core/adapters/signatures.ts'
import {
  type ApiScope,
  type ApiSourceSettingsInput,
  adapterBySlug,
  adapterSlugs,
  SCOPES,
} from '../../core/index.ts'
import { readSettings } from '../../core/policy.ts'
import { hashDropIn, sealSecret } from '../../core/store/secrets.ts'
import { all, run, statement } from '../../core/store/statement.ts'
import { operations } from '../../ingest/app.ts'
import { webhookAddresses } from '../../ingest/routes/webhooks.ts'
import {
  ADMIN_KEY,
  MINUTE,
  SECRET_KEY,
  type TestProject,
  type TestSource,
  testTocsin,
} from '../core/open-test-tocsin.ts'
import { listen, type Served, stop } from './serve.ts'

/** Who gets in where: every way to authenticate, in every state it can be in. A new route or adapter finds its place here. */

interface Mode {
  name: string
  /** Name of the address it is sent to. */
  at: string
  /** A signature made with the secret, the secret itself in a header or the body, a token in the address, or a key of the API. */
  kind: 'signature' | 'secret' | 'body' | 'token' | 'key'
  settings?: ApiSourceSettingsInput
  header?: string
  /** The header's value. */
  credential?(secret: string, body: string, seconds: string): string
  timestampHeader?: string
  /** Other than POST. */
  method?: 'GET' | 'PUT'
}

const header = (name: string): Mode => ({
  name,
  at: 'receiveAtProject',
  kind: 'secret',
  header: name,
  credential: (secret) => secret,
})
const SECRET_HEADER = header('x-webhook-secret')
const BEARER: Mode = {
  ...header('authorization'),
  name: 'bearer',
  credential: (secret) => `Bearer ${secret}`,
}
const BASIC: Mode = {
  ...header('authorization'),
  name: 'basic',
  credential: (secret) => `Basic ${Buffer.from(`tocsin:${secret}`).toString('base64')}`,
}
const signature = (name: string): Mode => ({
  name: 'signature',
  at: 'receiveAtProject',
  kind: 'signature',
  header: name,
  credential: (secret, body) => hmacSha256(body, secret),
})
const TOKEN: Mode = { name: 'token', at: 'receiveAtToken', kind: 'token' }
const BODY: Mode = { name: 'routing key', at: 'receiveAtProject', kind: 'body' }
const API_KEY_HEADER = header('x-api-key')
const at = (address: string, mode: Mode): Mode => ({
  ...mode,
  at: address,
  name: `${mode.name} at ${address}`,
})
const SHORT_TOKEN: Mode = { name: 'short token', at: 'receiveAtShortToken', kind: 'token' }
const by = (method: 'GET' | 'PUT', mode: Mode): Mode => ({
  ...mode,
  method,
  name: `${mode.name} with ${method}`,
})
const GRAFANA_SIGNATURE = signature('x-grafana-alerting-signature')

const MODES: Record<string, Mode[]> = {
  sentry: [signature('sentry-hook-signature'), TOKEN, SHORT_TOKEN],
  grafana: [
    GRAFANA_SIGNATURE,
    {
      ...GRAFANA_SIGNATURE,
      name: 'signature with time',
      settings: { timestampHeader: 'x-time' },
      timestampHeader: 'x-time',
      credential: (secret, body, seconds) => hmacSha256(body, secret, `${seconds}:`),
    },
    SECRET_HEADER,
    BEARER,
    BASIC,
    TOKEN,
    SHORT_TOKEN,
    ...[GRAFANA_SIGNATURE, BEARER, TOKEN, SHORT_TOKEN].map((mode) => by('PUT', mode)),
  ],
  alertmanager: [SECRET_HEADER, BEARER, BASIC, TOKEN, SHORT_TOKEN],
  betterstack: [SECRET_HEADER, BEARER, BASIC, TOKEN, SHORT_TOKEN],
  pagerduty: [
    {
      ...signature('x-pagerduty-signature'),
      credential: (secret, body) => `v1=${hmacSha256(body, secret)}`,
    },
    TOKEN,
    SHORT_TOKEN,
  ],
  'pagerduty-events': [
    BODY,
    at('receivePagerDutyEvent', BODY),
    at('receivePagerDutyChange', BODY),
    TOKEN,
    SHORT_TOKEN,
  ],
  datadog: [SECRET_HEADER, BEARER, BASIC, TOKEN, SHORT_TOKEN],
  'uptime-kuma': [
    SECRET_HEADER,
    BEARER,
    BASIC,
    TOKEN,
    SHORT_TOKEN,
    ...[SECRET_HEADER, TOKEN, SHORT_TOKEN].map((mode) => by('GET', mode)),
  ],
  uptimera: [signature('x-uptimera-signature'), TOKEN, SHORT_TOKEN],
  runframe: [SECRET_HEADER, BEARER, TOKEN, SHORT_TOKEN],
  gitpulse: [
    API_KEY_HEADER,
    at('receiveGitPulse', API_KEY_HEADER),
    at('receiveGitPulse', { ...API_KEY_HEADER, name: 'API key', kind: 'key' }),
    TOKEN,
    SHORT_TOKEN,
  ],
  'grafana-irm': [
    BEARER,
    at('receiveGrafanaIrm', BEARER),
    at('receiveGrafanaIrmPlugin', BEARER),
    TOKEN,
    SHORT_TOKEN,
  ],
  cloudevents: [SECRET_HEADER, BEARER, BASIC, TOKEN, SHORT_TOKEN],
  generic: [SECRET_HEADER, BEARER, BASIC, TOKEN, SHORT_TOKEN, { ...BEARER, name: 'API key', kind: 'key' }],
}

/** One request, to be bent before it is sent. */
interface Draft {
  method: string
  path: string
  headers: Record<string, string | string[]>
  body: string
}

interface Scene {
  mode: Mode
  project: TestProject
  source: TestSource
  /** What vouches for the request: the secret, token or key. */
  secret: string
  draft(options?: { secret?: string; seconds?: string }): Draft
  send(draft: Draft): Promise<Answer>
  /** The same process behind a proxy it trusts. */
  sendBehindProxy(draft: Draft): Promise<Answer>
}

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: { duplicate?: boolean; error?: { code: string; message: string } }
}

interface Cell {
  state: string
  /** Whether the state can be in this mode; every mode unless told. */
  in?: (mode: Mode) => boolean
  expected: number
  run(scene: Scene): Promise<Answer>
}

const t = testTocsin('sqlite')

/** Where the address names no project: the credential alone, or with the body, says whose it is. */
const isDropIn = ({ at }: Mode) => !['receiveAtProject', 'receiveAtToken', 'receiveAtShortToken'].includes(at)
/** What an address that stands in for another service answers in place of these. */
const STATUS_AT: Record<string, Record<number, number>> = {
  receiveAtShortToken: { 401: 404 },
  receivePagerDutyEvent: { 200: 202, 401: 400 },
  receivePagerDutyChange: { 200: 202, 401: 400 },
}
const OWN_SHAPE = ['receiveAtProject', 'receiveAtToken', 'receiveGrafanaIrm', 'receiveGrafanaIrmPlugin']

const hasHeader = (mode: Mode) => mode.header !== undefined
const withQuery = (path: string, query: string) => `${path}${path.includes('?') ? '&' : '?'}${query}`
const isOfSource = ({ kind }: Mode) => kind !== 'key'
const inHeader = (scene: Scene, value: string | string[]): Draft => {
  const draft = scene.draft()
  return { ...draft, headers: { ...draft.headers, [scene.mode.header!]: value } }
}
const without = (scene: Scene): Draft => {
  const draft = scene.draft()
  delete draft.headers[scene.mode.header!]
  return draft
}
const credentialOf = (scene: Scene) => scene.draft().headers[scene.mode.header!] as string
const rotate = ({ project, source }: Scene, overlapMinutes: number) =>
  t.admin.rotateSource(project.id, source.id, { overlapMinutes })
/** `sentAgo` in seconds. */
const signedAgo = (scene: Scene, sentAgo: number) =>
  scene.send(scene.draft({ seconds: String(t.clock.now().getTime() / 1000 - sentAgo) }))
const limitedTo = async ({ source }: Scene) => source.set({ cidrs: ['192.0.2.0/24'] })
const forwardedFor = (scene: Scene, addresses: string): Draft => {
  const draft = scene.draft()
  return { ...draft, headers: { ...draft.headers, 'x-forwarded-for': addresses } }
}

// No use-case leaves a source so, and it must not be open to everybody if something else does.
const dropCredentials = statement<{ sourceId: string }, unknown>((db, p) =>
  db.deleteFrom('source_credential').where('source_id', '=', p('sourceId')),
)
const credentialRow = statement<{ sourceId: string }, { id: string }>((db, p) =>
  db.selectFrom('source_credential').select('id').where('source_id', '=', p('sourceId')),
)
const setCredential = statement<{ sourceId: string; sealed: string; hash: string }, unknown>((db, p) =>
  db
    .updateTable('source_credential')
    .set({ sealed: p('sealed'), lookup_hash: p('hash') })
    .where('source_id', '=', p('sourceId')),
)

const CELLS: Cell[] = [
  { state: 'right', expected: 200, run: (s) => s.send(s.draft()) },
  {
    state: 'replayed, it is a duplicate',
    expected: 200,
    run: async (s) => {
      await s.send(s.draft())
      const again = await s.send(s.draft())
      expect((await s.project.requests()).at(-1)?.outcome).toBe('duplicate')
      return again
    },
  },
  { state: 'none', in: hasHeader, expected: 401, run: (s) => s.send(without(s)) },
  { state: 'empty', in: hasHeader, expected: 401, run: (s) => s.send(inHeader(s, '')) },
  { state: 'wrong', expected: 401, run: (s) => s.send(s.draft({ secret: `${s.secret.slice(0, -1)}~` })) },
  { state: 'of a wrong length', expected: 401, run: (s) => s.send(s.draft({ secret: s.secret.slice(1) })) },
  {
    state: 'a signature cut short',
    in: ({ kind }) => kind === 'signature',
    expected: 401,
    run: (s) => s.send(inHeader(s, credentialOf(s).slice(2))),
  },
  {
    state: 'a signature that is not hex',
    in: ({ kind }) => kind === 'signature',
    expected: 401,
    run: (s) => s.send(inHeader(s, 'z'.repeat(64))),
  },
  {
    state: 'repeated',
    in: hasHeader,
    // Of a key, too: which of two counts is not for us to say.
    expected: 401,
    run: (s) => s.send(inHeader(s, [credentialOf(s), credentialOf(s)])),
  },
  {
    state: 'in the query',
    in: hasHeader,
    expected: 401,
    run: (s) => {
      const draft = without(s)
      const query = `secret=${s.secret}&token=${s.secret}&api_key=${s.secret}`
      return s.send({ ...draft, path: withQuery(draft.path, query) })
    },
  },
  {
    state: "another project's",
    // No other tool has a method of its own in common with this one.
    in: (mode) =>
      !isDropIn(mode) &&
      mode.at !== 'receiveAtShortToken' &&
      (mode.kind !== 'token' || mode.method === undefined),
    expected: 401,
    run: async (s) => {
      const other = await sceneOf(s.source.adapter, s.mode)
      if (s.mode.kind !== 'token') return s.send(s.draft({ secret: other.secret }))
      // A token says itself whose it is, so only another tool's address is wrong.
      return s.send({ ...s.draft(), path: `/api/webhooks/no-such-tool/${other.secret}` })
    },
  },
  {
    state: "another project's: what it opens is theirs alone",
    in: ({ at, kind }) =>
      kind !== 'key' && at !== 'receiveAtProject' && at !== 'receiveAtToken' && at !== 'receiveGitPulse',
    expected: 200,
    run: async (s) => {
      const other = await sceneOf(s.source.adapter, s.mode)
      const before = await everythingElse(s.project)
      const answer = await s.send(s.draft({ secret: other.secret }))
      expect(await everythingElse(s.project)).toBe(before)
      expect(await other.project.requests()).toHaveLength(1)
      return answer
    },
  },
  {
    state: "another project's, while the body names this one",
    in: ({ at }) => at === 'receiveGitPulse',
    expected: 404,
    run: async (s) => {
      const other = await sceneOf(s.source.adapter, s.mode)
      return s.send(s.draft({ secret: other.secret }))
    },
  },
  {
    state: "another source's",
    in: (mode) => mode.kind !== 'token' && isOfSource(mode),
    expected: 401,
    run: async (s) => {
      const other = await s.project.source(s.source.adapter, { settings: s.mode.settings ?? {} })
      const draft = s.draft({ secret: other.secret })
      return s.send({ ...draft, path: withQuery(draft.path, `source=${s.source.id}`) })
    },
  },
  {
    state: "another adapter's",
    in: (mode) => isOfSource(mode) && mode.at !== 'receiveAtShortToken',
    expected: 401,
    run: async (s) => {
      const adapter = adapterSlugs.find((slug) => slug !== s.source.adapter)!
      const other = await s.project.source(adapter, { address: s.source.address })
      return s.send(s.draft({ secret: other.secret }))
    },
  },
  {
    state: 'old, within the overlap',
    in: isOfSource,
    expected: 200,
    run: async (s) => {
      await rotate(s, 10)
      t.clock.pass(9 * MINUTE)
      return s.send(s.draft())
    },
  },
  {
    state: 'old, after the overlap',
    in: isOfSource,
    expected: 401,
    run: async (s) => {
      await rotate(s, 10)
      t.clock.pass(10 * MINUTE)
      return s.send(s.draft())
    },
  },
  {
    state: 'revoked by rotation',
    in: isOfSource,
    expected: 401,
    run: async (s) => {
      await rotate(s, 0)
      return s.send(s.draft())
    },
  },
  {
    state: 'new, after a rotation',
    in: isOfSource,
    expected: 200,
    run: async (s) => {
      const { source, secret } = await rotate(s, 0)
      return s.send(s.draft({ secret: secret ?? source.url.split('/').at(-1)! }))
    },
  },
  {
    state: 'right, but the source has lost its secret',
    in: isOfSource,
    expected: 401,
    run: async (s) => {
      await t.database.transaction(() => run(dropCredentials, { sourceId: s.source.id }))
      await t.admin.updateProject(s.project.id, { name: 'changed' })
      return s.send(s.draft())
    },
  },
  {
    state: 'empty, as the secret of the source',
    in: (mode) => isOfSource(mode) && mode.kind !== 'token',
    expected: 401,
    run: async (s) => {
      const sourceId = s.source.id
      const hash = hashDropIn(s.source.adapter, '')
      await t.database.transaction(function* () {
        const [{ id }] = (yield* all(credentialRow, { sourceId })) as [{ id: string }]
        const sealed = sealSecret(SECRET_KEY, '', `source_credential/${id}/sealed`)
        yield* run(setCredential, { sourceId, sealed, hash })
      })
      await t.admin.updateProject(s.project.id, { name: 'changed' })
      return s.send(s.draft({ secret: '' }))
    },
  },
  {
    state: 'of a deleted source',
    in: isOfSource,
    expected: 401,
    run: async (s) => {
      await t.admin.deleteSource(s.project.id, s.source.id)
      return s.send(s.draft())
    },
  },
  {
    state: 'expired',
    in: ({ kind }) => kind === 'key',
    expected: 401,
    run: async (s) => {
      t.clock.pass(60 * MINUTE)
      return s.send(s.draft())
    },
  },
  {
    state: 'a key without the scope',
    in: ({ kind }) => kind === 'key',
    expected: 401,
    run: async (s) => {
      const scopes = SCOPES.filter((scope) => scope !== 'events:write' && scope !== 'admin')
      const { secret } = await t.admin.createKey(s.project.id, { name: 'k', scopes })
      return s.send(s.draft({ secret }))
    },
  },
  {
    state: 'right for a source that is off',
    expected: 403,
    run: async (s) => {
      await t.admin.updateSource(s.project.id, s.source.id, { enabled: false })
      return s.send(s.draft())
    },
  },
  {
    state: 'right for a project that is off',
    expected: 403,
    run: async (s) => {
      await t.admin.updateProject(s.project.id, { ingestionEnabled: false })
      return s.send(s.draft())
    },
  },
  {
    state: 'right for a project without webhooks',
    expected: 403,
    run: async (s) => {
      await t.admin.updateProject(s.project.id, { plan: 'free' })
      return s.send(s.draft())
    },
  },
  {
    state: 'signed, and a byte more',
    in: ({ kind }) => kind === 'signature',
    expected: 401,
    run: (s) => s.send({ ...s.draft(), body: `${s.draft().body} ` }),
  },
  ...[299, 300, -299, -300].map(
    (seconds): Cell => ({
      state: `signed ${seconds} s ago`,
      in: ({ timestampHeader }) => timestampHeader !== undefined,
      expected: 200,
      run: (s) => signedAgo(s, seconds),
    }),
  ),
  ...[301, -301].map(
    (seconds): Cell => ({
      state: `signed ${seconds} s ago`,
      in: ({ timestampHeader }) => timestampHeader !== undefined,
      expected: 401,
      run: (s) => signedAgo(s, seconds),
    }),
  ),
  {
    state: 'from an address in the list',
    expected: 200,
    run: async (s) => {
      await limitedTo(s)
      return s.sendBehindProxy(forwardedFor(s, '192.0.2.9'))
    },
  },
  {
    state: 'from an address outside the list',
    expected: 403,
    run: async (s) => {
      await limitedTo(s)
      return s.sendBehindProxy(forwardedFor(s, '198.51.100.9'))
    },
  },
  {
    state: 'from an address that says it were in the list',
    expected: 403,
    run: async (s) => {
      await limitedTo(s)
      return s.sendBehindProxy(forwardedFor(s, '192.0.2.9, 198.51.100.9'))
    },
  },
  {
    state: 'through a proxy nobody trusts',
    expected: 403,
    run: async (s) => {
      await limitedTo(s)
      return s.send(forwardedFor(s, '192.0.2.9'))
    },
  },
]

let served: Served
let behindProxy: Served

beforeAll(async () => {
  const { tocsin } = t
  served = await listen({ tocsin })
  behindProxy = await listen({ tocsin, config: { trustProxy: ['127.0.0.0/8'] } })
})
afterAll(() => [served, behindProxy].forEach(stop))

async function sceneOf(adapter: string, mode: Mode): Promise<Scene> {
  const project = await t.project()
  const source = await project.source(adapter, {
    address: mode.kind === 'token' ? 'token' : 'project',
    settings: mode.settings ?? {},
  })
  const key =
    mode.kind === 'key'
      ? await t.admin.createKey(project.id, {
          name: 'sender',
          scopes: ['events:write'],
          expiresAt: t.clock.at(60 * MINUTE),
        })
      : undefined
  const secret = key?.secret ?? source.secret
  const { source: shown } = await t.admin.getSource(project.id, source.id)
  const { body, query } = adapterBySlug(adapter)!.testRequest('fire', {
    id: 'the-alert',
    at: t.clock.at(),
    secret,
    projectId: project.id,
    settings: readSettings(JSON.stringify(shown.settings)),
  })!
  const { path } = webhookAddresses.find(({ id }) => id === mode.at)!

  return {
    mode,
    project,
    source,
    secret,
    draft(options = {}) {
      const { seconds = String(t.clock.now().getTime() / 1000) } = options
      const used = options.secret ?? secret
      const sent = body.replaceAll(secret, used)
      const credential = mode.credential?.(used, sent, seconds)
      const { method = 'POST' } = mode
      return {
        method,
        path: withQuery(path, method === 'GET' ? queryFor(sent) : (query ?? ''))
          .replace(/[?&]$/, '')
          .replace(':plugin', 'grafana-irm-app')
          .replace(':projectId', project.id)
          .replace(':adapter', adapter)
          .replace(':token', encodeURIComponent(used)),
        headers: {
          'content-type': adapter === 'cloudevents' ? 'application/cloudevents+json' : 'application/json',
          ...(adapter === 'sentry' && { 'sentry-hook-resource': 'issue' }),
          ...(mode.timestampHeader && { [mode.timestampHeader]: seconds }),
          ...(mode.header && credential !== undefined && { [mode.header]: credential }),
        },
        body: method === 'GET' ? '' : sent,
      }
    },
    send: (draft) => sendTo(served, draft),
    sendBehindProxy: (draft) => sendTo(behindProxy, draft),
  }
}

/** What a body says, as the query of a GET. */
function queryFor(body: string): string {
  const members = Object.entries(JSON.parse(body) as Record<string, unknown>)
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
  return new URLSearchParams(members.map(([name, value]): [string, string] => [name, text(value)])).toString()
}

async function sendTo({ port }: Served, { method, path, headers, body }: Draft): Promise<Answer> {
  const sent = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false })
  sent.end(body)
  const [response] = await once(sent, 'response')
  return {
    status: response.statusCode,
    headers: response.headers,
    body: JSON.parse(await text(response)) as Answer['body'],
  }
}

/** What a refusal may change: the log, and how its source fares. */
const MAY_CHANGE = ['hook_request', 'source_hour']

/** How the rows of a project are found in each table that has some. */
const tables: [name: string, whose: string][] = []
beforeAll(async () => {
  for (const { name, columns } of await t.database.read.introspection.getTables()) {
    const whose = ['project_id', 'source_id'].find((wanted) =>
      columns.some((column) => column.name === wanted),
    )
    if (name === 'project') tables.push([name, 'id'])
    else if (whose && !MAY_CHANGE.includes(name)) tables.push([name, whose])
  }
})

async function everythingElse(project: TestProject): Promise<string> {
  const found: unknown[] = []
  for (const [name, whose] of tables) {
    const those =
      whose === 'source_id'
        ? sql`(select id from source where project_id = ${project.id})`
        : sql`(${project.id})`
    const { rows } = await sql`select * from ${sql.table(name)} where ${sql.ref(whose)} in ${those}`.execute(
      t.database.read,
    )
    found.push([name, rows])
  }
  return JSON.stringify(found)
}

describe('webhooks', () => {
  test('every adapter and every address has its modes', () => {
    expect(Object.keys(MODES).sort()).toEqual([...adapterSlugs].sort())
    const used = new Set(Object.values(MODES).flatMap((modes) => modes.map(({ at }) => at)))
    expect([...used].sort()).toEqual(webhookAddresses.map(({ id }) => id).sort())
  })

  const rows = Object.entries(MODES).flatMap(([adapter, modes]) =>
    modes.map((mode) => ({ adapter, mode, name: `${adapter} by ${mode.name}` })),
  )
  describe.each(rows)('$name', ({ adapter, mode }) => {
    const cells = CELLS.filter((cell) => cell.in?.(mode) ?? true)
    test.each(cells)('$state: $expected', async ({ expected, run }) => {
      const scene = await sceneOf(adapter, mode)
      let before = ''
      const noting = async (draft: Draft, send: Scene['send']) => {
        before = await everythingElse(scene.project)
        return send(draft)
      }
      const answer = await run({
        ...scene,
        send: (draft) => noting(draft, scene.send),
        sendBehindProxy: (draft) => noting(draft, scene.sendBehindProxy),
      })
      expect(answer.status).toBe(STATUS_AT[mode.at]?.[expected] ?? expected)
      if (OWN_SHAPE.includes(mode.at)) {
        const code = expected === 401 ? 'unauthorized' : expect.any(String)
        expect(answer.body.error?.code).toEqual(expected === 200 ? undefined : code)
      }
      if (expected !== 200) expect(await everythingElse(scene.project)).toBe(before)
    })
  })

  test('no source can be without a secret', async () => {
    const project = await t.project()
    await expect(project.source('generic', { secret: '' })).rejects.toThrow(/secret/)
    expect((await project.source()).secret).toMatch(/^\S{20,}$/)
  })
})

// ---- the API ----

const NO_PROJECT: readonly string[] = ['me', 'createProject', 'listProjects', 'recordToolCall']

/** Bodies that operations do not take when empty. */
const BODIES: Record<string, object> = {
  createProject: { name: 'x' },
  createSource: { adapter: 'generic' },
  previewSource: { adapter: 'generic', sample: { title: 'x' } },
  createIncident: { title: 'x' },
  addNote: { text: 'x' },
  savePostmortem: { markdown: 'x' },
  createEndpoint: { url: 'http://127.0.0.1:9/x' },
  createKey: { name: 'x', scopes: ['incidents:read'] },
}

interface KeyState {
  state: string
  expected: number
  authorization(keys: Keys): string | string[] | undefined
}

interface Keys {
  right: string
  narrow: string
  foreign: string
  expired: string
  revoked: string
}

const KEY_STATES: KeyState[] = [
  { state: 'none', expected: 401, authorization: () => undefined },
  { state: 'empty', expected: 401, authorization: () => '' },
  { state: 'no bearer', expected: 401, authorization: ({ right }) => `Basic ${right}` },
  { state: 'unknown', expected: 401, authorization: ({ right }) => `Bearer ${right}x` },
  { state: 'repeated', expected: 401, authorization: ({ right }) => [`Bearer ${right}`, `Bearer ${right}`] },
  { state: 'expired', expected: 401, authorization: ({ expired }) => `Bearer ${expired}` },
  { state: 'revoked', expected: 401, authorization: ({ revoked }) => `Bearer ${revoked}` },
  { state: 'without the scope', expected: 403, authorization: ({ narrow }) => `Bearer ${narrow}` },
  { state: 'of another project', expected: 404, authorization: ({ foreign }) => `Bearer ${foreign}` },
]

describe.each(operations)('$method $path', (operation) => {
  const { id, scope } = operation
  const states = KEY_STATES.filter(({ state }) => {
    if (state === 'of another project') return !NO_PROJECT.includes(id)
    return state !== 'without the scope' || scope !== null
  })

  async function keysOf(project: TestProject): Promise<Keys> {
    const key = async (scopes: readonly ApiScope[], owner = project, expiresAt?: string) =>
      t.admin.createKey(owner.id, { name: 'k', scopes: [...scopes], ...(expiresAt && { expiresAt }) })
    const expired = await key(SCOPES, project, t.clock.at(1))
    t.clock.pass(2)
    const revoked = await key(SCOPES)
    await t.admin.deleteKey(project.id, revoked.key.id)
    return {
      right: (await key(SCOPES)).secret,
      narrow: (await key(SCOPES.filter((one) => one !== scope && one !== 'admin'))).secret,
      foreign: (await key(SCOPES, await t.project())).secret,
      expired: expired.secret,
      revoked: revoked.secret,
    }
  }

  async function call(project: TestProject, authorization: string | string[] | undefined, query = '') {
    const path = operation.path.replaceAll(/:(\w+)/g, (_, name) =>
      name === 'project' ? project.id : '00000000-0000-7000-8000-000000000000',
    )
    const body = operation.body && JSON.stringify(BODIES[id] ?? {})
    const headers: Record<string, string | string[] | number> = {}
    if (authorization !== undefined) headers.authorization = authorization
    if (body !== undefined) {
      headers['content-type'] = 'application/json'
      headers['content-length'] = Buffer.byteLength(body)
    }
    const sent = httpRequest({
      host: '127.0.0.1',
      port: served.port,
      path: `/api/v1${path}${query}`,
      method: operation.method.toUpperCase(),
      agent: false,
      headers,
    })
    sent.end(body)
    const [response] = await once(sent, 'response')
    await text(response)
    return response.statusCode as number
  }

  test.each(states)('$state: $expected', async ({ expected, authorization }) => {
    const project = await t.project()
    const keys = await keysOf(project)
    const before = await everythingElse(project)
    expect(await call(project, authorization(keys))).toBe(expected)
    expect(await everythingElse(project)).toBe(before)
  })

  test('in the query: 401', async () => {
    const project = await t.project()
    const { right } = await keysOf(project)
    expect(await call(project, undefined, `?key=${right}&access_token=${right}`)).toBe(401)
  })

  test('right: neither 401 nor 403', async () => {
    const project = await t.project()
    const key = NO_PROJECT.includes(id) ? ADMIN_KEY : (await keysOf(project)).right
    expect([401, 403]).not.toContain(await call(project, `Bearer ${key}`))
  })
})
