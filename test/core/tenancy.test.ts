import { beforeAll, describe, expect, test } from 'vitest'
import type { ApiScope } from '../../core/api-types.ts'
import { TocsinError } from '../../core/errors.ts'
import type { Tocsin } from '../../core/index.ts'
import { SCOPES } from '../../core/types.ts'
import { databaseKinds } from '../support/databases.ts'
import { ADMIN_KEY, refusal, type TestProject, testTocsin } from './open-test-tocsin.ts'

/** What there is in a project to be named in a call. */
interface Things {
  project: string
  source: string
  reveal: string
  request: string
  incident: string
  key: string
  endpoint: string
  message: string
}

/** Every use-case of a project: the scope it needs, and how it is called. */
const METHODS: Record<
  Exclude<keyof Tocsin, 'me' | 'createProject' | 'listProjects' | 'recordToolCall'>,
  { scope: ApiScope; call(tocsin: Tocsin, at: Things): Promise<unknown> }
> = {
  getProject: { scope: 'admin', call: (t, at) => t.getProject(at.project) },
  updateProject: { scope: 'admin', call: (t, at) => t.updateProject(at.project, { name: 'taken' }) },
  getIngestion: { scope: 'sources:read', call: (t, at) => t.getIngestion(at.project) },
  createSource: {
    scope: 'sources:write',
    call: (t, at) => t.createSource(at.project, { adapter: 'grafana' }),
  },
  listSources: { scope: 'sources:read', call: (t, at) => t.listSources(at.project, {}) },
  getSource: { scope: 'sources:read', call: (t, at) => t.getSource(at.project, at.source) },
  updateSource: {
    scope: 'sources:write',
    call: (t, at) => t.updateSource(at.project, at.source, { name: 'taken' }),
  },
  previewSource: {
    scope: 'sources:read',
    call: (t, at) => t.previewSource(at.project, { adapter: 'generic', sample: { title: 'x' } }),
  },
  testSource: { scope: 'sources:write', call: (t, at) => t.testSource(at.project, at.source) },
  rotateSource: { scope: 'sources:write', call: (t, at) => t.rotateSource(at.project, at.source, {}) },
  revealSecret: { scope: 'secrets:read', call: (t, at) => t.revealSecret(at.project, at.reveal) },
  listRequests: { scope: 'sources:read', call: (t, at) => t.listRequests(at.project, {}) },
  getRequest: { scope: 'sources:read', call: (t, at) => t.getRequest(at.project, at.request) },
  replayRequest: { scope: 'sources:write', call: (t, at) => t.replayRequest(at.project, at.request, {}) },
  listIncidents: { scope: 'incidents:read', call: (t, at) => t.listIncidents(at.project, {}) },
  createIncident: {
    scope: 'incidents:write',
    call: (t, at) => t.createIncident(at.project, { title: 'taken' }),
  },
  getIncident: { scope: 'incidents:read', call: (t, at) => t.getIncident(at.project, at.incident) },
  listTimeline: { scope: 'incidents:read', call: (t, at) => t.listTimeline(at.project, at.incident, {}) },
  listIncidentEvents: {
    scope: 'incidents:read',
    call: (t, at) => t.listIncidentEvents(at.project, at.incident, {}),
  },
  listIncidentSignals: {
    scope: 'incidents:read',
    call: (t, at) => t.listIncidentSignals(at.project, at.incident, {}),
  },
  acknowledgeIncident: {
    scope: 'incidents:write',
    call: (t, at) => t.acknowledgeIncident(at.project, at.incident, {}),
  },
  addNote: {
    scope: 'incidents:write',
    call: (t, at) => t.addNote(at.project, at.incident, { text: 'taken' }),
  },
  resolveIncident: {
    scope: 'incidents:write',
    call: (t, at) => t.resolveIncident(at.project, at.incident, {}),
  },
  reopenIncident: {
    scope: 'incidents:write',
    call: (t, at) => t.reopenIncident(at.project, at.incident, {}),
  },
  draftPostmortem: {
    scope: 'incidents:write',
    call: (t, at) => t.draftPostmortem(at.project, at.incident, {}),
  },
  getPostmortem: {
    scope: 'incidents:read',
    // Where none is stored, that is an answer that only those get who may ask.
    call: (t, at) =>
      t.getPostmortem(at.project, at.incident, {}).catch((error: unknown) => {
        if (!(error instanceof TocsinError) || !error.message.startsWith('postmortem:')) throw error
      }),
  },
  savePostmortem: {
    scope: 'incidents:write',
    call: (t, at) => t.savePostmortem(at.project, at.incident, { markdown: 'taken' }),
  },
  getMetrics: { scope: 'incidents:read', call: (t, at) => t.getMetrics(at.project, {}) },
  createKey: {
    scope: 'admin',
    call: (t, at) => t.createKey(at.project, { name: 'taken', scopes: ['admin'] }),
  },
  listKeys: { scope: 'admin', call: (t, at) => t.listKeys(at.project, {}) },
  deleteKey: { scope: 'admin', call: (t, at) => t.deleteKey(at.project, at.key) },
  listToolCalls: { scope: 'admin', call: (t, at) => t.listToolCalls(at.project, {}) },
  createEndpoint: {
    scope: 'endpoints:write',
    call: (t, at) => t.createEndpoint(at.project, { url: 'http://127.0.0.1:9/taken' }),
  },
  listEndpoints: { scope: 'endpoints:read', call: (t, at) => t.listEndpoints(at.project, {}) },
  getEndpoint: { scope: 'endpoints:read', call: (t, at) => t.getEndpoint(at.project, at.endpoint) },
  updateEndpoint: {
    scope: 'endpoints:write',
    call: (t, at) => t.updateEndpoint(at.project, at.endpoint, { description: 'taken' }),
  },
  rotateEndpoint: {
    scope: 'endpoints:write',
    call: (t, at) => t.rotateEndpoint(at.project, at.endpoint, {}),
  },
  testEndpoint: { scope: 'endpoints:write', call: (t, at) => t.testEndpoint(at.project, at.endpoint) },
  listMessages: { scope: 'endpoints:read', call: (t, at) => t.listMessages(at.project, at.endpoint, {}) },
  getMessage: { scope: 'endpoints:read', call: (t, at) => t.getMessage(at.project, at.message) },
  replayMessage: {
    scope: 'endpoints:write',
    // Still on its way is an answer that only those get who may ask.
    call: (t, at) =>
      t.replayMessage(at.project, at.message).catch((error: unknown) => {
        if (!(error instanceof TocsinError) || error.code !== 'conflict') throw error
      }),
  },
  replayEndpoint: {
    scope: 'endpoints:write',
    call: (t, at) => t.replayEndpoint(at.project, at.endpoint, {}),
  },
  deleteEndpoint: { scope: 'endpoints:write', call: (t, at) => t.deleteEndpoint(at.project, at.endpoint) },
  deleteSource: { scope: 'sources:write', call: (t, at) => t.deleteSource(at.project, at.source) },
  deleteProject: { scope: 'admin', call: (t, at) => t.deleteProject(at.project) },
}

const methods = Object.entries(METHODS) as [keyof typeof METHODS, (typeof METHODS)['getProject']][]

describe.each(databaseKinds)('who may do what on %s', (kind) => {
  const t = testTocsin(kind)

  async function furnish(project: TestProject): Promise<Things> {
    const source = await project.source()
    const { endpoint } = await t.admin.createEndpoint(project.id, { url: 'http://127.0.0.1:9/hook' })
    const { requestId, incident } = await source.send({ id: 'x', title: 'X' })
    const { messages } = await t.admin.listMessages(project.id, endpoint.id, {})
    const { key } = await t.admin.createKey(project.id, { name: 'k', scopes: ['events:write'] })
    const { reveal } = await t.admin.createSource(project.id, { adapter: 'generic', reveal: true })
    return {
      project: project.id,
      source: source.id,
      reveal: reveal!.id,
      request: requestId,
      incident: incident!.id,
      key: key.id,
      endpoint: endpoint.id,
      message: messages[0]!.id,
    }
  }

  test('the table names every use-case', () => {
    const named = ['me', 'createProject', 'listProjects', 'recordToolCall', ...Object.keys(METHODS)]
    expect(named.sort()).toEqual(Object.keys(t.admin).sort())
  })

  describe('a key of another project', () => {
    let mine: TestProject
    let own: Things
    let theirs: Things
    let asMine: Tocsin
    beforeAll(async () => {
      mine = await t.project()
      own = await furnish(mine)
      theirs = await furnish(await t.project())
      asMine = await mine.as(...SCOPES)
    })

    const rowsOfTheirs = async () =>
      [...(await t.tables())].map(([name, rows]) => [
        name,
        rows.filter((row) => row.project_id === theirs.project || row.id === theirs.project),
      ])

    test.each(methods)('cannot %s there', async (_, { call }) => {
      const before = await rowsOfTheirs()
      expect((await refusal(call(asMine, theirs))).code).toBe('not_found')
      expect(await rowsOfTheirs()).toEqual(before)
    })

    const naming =
      /^(get|update|delete|test|rotate)Source|revealSecret|Request$|^(get|acknowledge|resolve|reopen)Incident|^listTimeline|^listIncident.|addNote|deleteKey|^(get|update|rotate|test|replay|delete)Endpoint|Message/
    test.each(methods.filter(([name]) => naming.test(name) && name !== 'listIncidents'))(
      'cannot %s by naming a thing of theirs in its own project',
      async (_, { call }) => {
        const before = await rowsOfTheirs()
        expect((await refusal(call(asMine, { ...theirs, project: own.project }))).code).toBe('not_found')
        expect(await rowsOfTheirs()).toEqual(before)
      },
    )

    test('sees its own project only, and makes no other', async () => {
      const { projects } = await asMine.listProjects({})
      expect(projects.map((project) => project.id)).toEqual([mine.id])
      expect((await refusal(asMine.createProject({ name: 'second' }))).code).toBe('forbidden')
    })

    test('finds nothing of theirs by filters', async () => {
      const { incidents, total } = await asMine.listIncidents(mine.id, { source: [theirs.source] })
      expect([incidents, total]).toEqual([[], 0])
      const byId = await asMine.listIncidents(mine.id, { ids: [theirs.incident] })
      expect(byId.total).toBe(0)
      expect((await asMine.listRequests(mine.id, { source: theirs.source })).requests).toEqual([])
    })
  })

  describe.each(methods)('%s', (_, { scope, call }) => {
    test(`needs ${scope}`, async () => {
      const project = await t.project()
      const things = await furnish(project)
      const without = await project.as(...SCOPES.filter((one) => one !== scope && one !== 'admin'))
      const refused = await refusal(call(without, things))
      expect([refused.code, refused.message]).toEqual([
        'forbidden',
        expect.stringContaining(`lacks the scope ${scope}`),
      ])
      await call(await project.as(scope), things)
    })
  })

  test('me needs no scope', async () => {
    const project = await t.project()
    const { key } = await (await project.as('endpoints:read')).me()
    expect(key).toMatchObject({ name: 'endpoints:read', scopes: ['endpoints:read'], projectId: project.id })
  })

  describe('secrets', () => {
    test('are whole with secrets:read, else masked', async () => {
      const project = await t.project()
      const bySecret = await project.source()
      const byToken = await project.source('betterstack')
      const read = async (...scopes: ApiScope[]) => {
        const tocsin = await project.as(...scopes)
        const { sources } = await tocsin.listSources(project.id, {})
        const one = (await tocsin.getSource(project.id, bySecret.id)).source
        expect(sources.find((source) => source.id === bySecret.id)).toEqual(one)
        return [one.secret, sources.find((source) => source.id === byToken.id)?.url]
      }
      const address = `https://tocsin.example/api/webhooks/betterstack/`
      expect(await read('sources:read')).toEqual(['********', `${address}********`])
      expect(await read('sources:read', 'secrets:read')).toEqual([bySecret.secret, address + byToken.secret])
      expect(await read('admin')).toEqual([bySecret.secret, address + byToken.secret])
      const writer = await project.as('sources:write')
      const updated = await writer.updateSource(project.id, bySecret.id, { name: 'renamed' })
      expect([updated.source.name, updated.source.secret]).toEqual(['renamed', '********'])
      expect(JSON.stringify(updated)).not.toContain(bySecret.secret)
    })

    test('stand nowhere in the database as they are', async () => {
      const project = await t.project()
      const generic = await project.source('generic', { secret: 'a-secret-a-person-chose' })
      const token = await project.source('betterstack')
      const { secret: key } = await t.admin.createKey(project.id, { name: 'k', scopes: ['events:write'] })
      await generic.send({ title: 'X' }, { query: 'token=a-secret-a-person-chose' })
      await generic.send({ title: 'X' }, { secret: 'no', headers: { authorization: `Bearer ${key}` } })
      await token.send({ event: 'started', data: { id: '1', attributes: { name: 'X' } } })
      await refusal(generic.send({ title: 'X' }, { secret: 'a-wrong-guess' }))
      const rotated = await t.admin.rotateSource(project.id, generic.id, {})
      const stored = JSON.stringify([...(await t.tables())])
      for (const secret of [generic.secret, token.secret, key, rotated.secret!, ADMIN_KEY, 'a-wrong-guess'])
        expect(stored).not.toContain(secret)
      expect(stored).toContain(project.id)
    })

    test('a token belongs to one source', async () => {
      const project = await t.project()
      const token = await project.source('betterstack')
      const thief = await t.project()
      const taken = thief.source('betterstack', { secret: token.secret })
      expect((await refusal(taken)).code).toBe('invalid_request')
      const own = await thief.source('betterstack')
      const rotated = t.admin.rotateSource(thief.id, own.id, { secret: token.secret })
      expect((await refusal(rotated)).code).toBe('invalid_request')
      // Several sources may share another kind of secret.
      const first = await project.source('generic')
      const second = await project.source('generic', { secret: first.secret })
      expect(second.secret).toBe(first.secret)
    })
  })
})
