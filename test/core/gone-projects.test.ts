import { describe, expect, test } from 'vitest'
import { type Command, createBatchRunner } from '../../core/commands.ts'
import { createIds } from '../../core/ids.ts'
import { forgetGone } from '../../core/retention.ts'
import { claimMessages } from '../../core/store/claim.ts'
import { insertRows, updateRows } from '../../core/store/statement.ts'
import type { Core } from '../../core/use-cases/core.ts'
import { deleteProject } from '../../core/use-cases/projects.ts'
import { databaseKinds } from '../support/databases.ts'
import { until } from '../support/until.ts'
import { ADMIN, refusal, type TestProject, testTocsin } from './open-test-tocsin.ts'
import { watchedWriter } from './watched-writer.ts'

/** As many rows as there may be in one transaction. */
const BATCH = 200

describe.each(databaseKinds)('a project that is deleted, on %s', (kind) => {
  const t = testTocsin(kind)
  const newId = createIds(t.clock.now, (size) => Buffer.alloc(size, 3))

  /** A process that deletes, and forgets only when it is told to; `answers` is what each transaction answered. */
  function process() {
    const answers: unknown[] = []
    const core = { database: t.database, writer: watchedWriter(t, answers) }
    return {
      answers,
      delete: (project: TestProject) =>
        deleteProject(
          { ...core, directory: { forget: () => {} }, onGone: () => {} } as unknown as Core,
          ADMIN,
          project.id,
        ),
      forget: (isOver?: () => boolean) => forgetGone(core, isOver),
    }
  }

  async function furnished(alerts = 3) {
    const project = await t.project()
    const source = await project.source()
    const { endpoint } = await t.admin.createEndpoint(project.id, { url: 'http://127.0.0.1:9/hook' })
    const { requestId, incident } = await source.send({ id: 'first', title: 'First' })
    for (let at = 1; at < alerts; at += 100)
      await Promise.all(
        Array.from({ length: Math.min(100, alerts - at) }, (_, n) =>
          source.send({ id: `${at + n}`, title: `Alert ${at + n}` }),
        ),
      )
    await source.send({
      id: 'note',
      title: 'For the log',
      action: 'info',
      labels: { text: 'x'.repeat(2000) },
    })
    await refusal(source.send({ no: 'title' }))
    await t.admin.addNote(project.id, incident!.id, { text: 'Note' })
    await t.admin.draftPostmortem(project.id, incident!.id, {})
    const { messages } = await t.admin.listMessages(project.id, endpoint.id, {})
    const { secret } = await t.admin.createKey(project.id, { name: 'k', scopes: ['admin', 'events:write'] })
    const write = { key: project.id, requestHash: 'h', projectId: project.id }
    await t.tocsin.once(ADMIN, write, async () => ({ status: 200, body: null }))
    await t.admin.recordToolCall({
      projectId: project.id,
      tool: 'list_incidents',
      arguments: {},
      outcome: 'ok',
      durationMs: 1,
    })
    const [message] = messages
    return { project, source, endpoint, incident: incident!, requestId, message: message!, key: secret }
  }

  /** How many rows each table has of the project. */
  async function rowsOf({ project, source }: { project: TestProject; source: { id: string } }) {
    const found: Record<string, number> = {}
    for (const [name, rows] of await t.tables()) {
      const own = rows.filter((row) =>
        Object.values(row).some((value) => value === project.id || value === source.id),
      )
      if (own.length > 0) found[name] = own.length
    }
    return found
  }

  test('is gone for everybody before its rows are', async () => {
    const own = await furnished()
    const { project, source, incident, requestId, endpoint, message } = own
    await t.database.transaction(() =>
      updateRows('incident', [{ id: incident.id, resolve_due_at: t.clock.at() }]),
    )
    await process().delete(project)
    expect(Object.keys(await rowsOf(own))).toEqual(expect.arrayContaining(['event', 'hook_request']))

    const { id } = project
    for (const call of [
      () => t.admin.getProject(id),
      () => t.admin.listIncidents(id, {}),
      () => t.admin.getIncident(id, incident.id),
      () => t.admin.getIncident(id, 'INC-001'),
      () => t.admin.listTimeline(id, incident.id, {}),
      () => t.admin.listIncidentEvents(id, incident.id, {}),
      () => t.admin.addNote(id, incident.id, { text: 'Late' }),
      () => t.admin.resolveIncident(id, incident.id, {}),
      () => t.admin.createIncident(id, { title: 'Late' }),
      () => t.admin.getPostmortem(id, incident.id, {}),
      () => t.admin.listRequests(id, {}),
      () => t.admin.getRequest(id, requestId),
      () => t.admin.replayRequest(id, requestId, {}),
      () => t.admin.listSources(id, {}),
      () => t.admin.getSource(id, source.id),
      () => t.admin.testSource(id, source.id),
      () => t.admin.updateSource(id, source.id, { name: 'Late' }),
      () => t.admin.getEndpoint(id, endpoint.id),
      () => t.admin.listMessages(id, endpoint.id, {}),
      () => t.admin.getMessage(id, message.id),
      () => t.admin.replayMessage(id, message.id),
      () => t.admin.listToolCalls(id, {}),
      () => t.admin.deleteProject(id),
    ])
      expect(await refusal(call())).toMatchObject({ code: 'not_found' })
    expect((await t.admin.listProjects({ limit: 100 })).projects.map((one) => one.id)).not.toContain(id)
    expect((await refusal(source.send({ id: 'x', title: 'X' }))).code).toBe('unauthorized')
    expect(await t.tocsin.authenticateKey(own.key)).toBeUndefined()

    const options = { now: t.clock.at(), until: t.clock.at(60_000), token: 'a', free: 50, perEndpoint: 5 }
    const claim = await t.database.transaction(() =>
      claimMessages({ ...options, after: '', lastCallUntil: t.clock.at() }),
    )
    expect(claim.claimed.filter((one) => one.project_id === id)).toEqual([])
    // What is due by the clock in other projects is not held up by it.
    const left = await rowsOf(own)
    await t.due()
    expect(await rowsOf(own)).toEqual(left)
    await process().forget()
  })

  test('goes in small transactions, whoever begins and whoever goes on, with nothing of others', async () => {
    const [gone, kept] = [await furnished(450), await furnished()]
    const before = await rowsOf(kept)
    const deleting = process()
    await deleting.delete(gone.project)
    // Killed after a few.
    await deleting.forget(() => deleting.answers.length === 5)
    expect(await rowsOf(gone)).not.toEqual({})

    const other = process()
    await other.forget()
    expect(await rowsOf(gone)).toEqual({})
    expect(await rowsOf(kept)).toEqual(before)
    const rows = [...deleting.answers, ...other.answers].filter((answer) => typeof answer === 'number')
    expect(Math.max(...rows)).toBe(BATCH)
    expect(rows.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(4 * 450)
  })

  test('what earlier versions left of one is forgotten, too', async () => {
    const { project, source } = await furnished()
    await process().delete(project)
    const [row] = (await t.tables()).get('hook_request')!.filter((one) => one.project_id === project.id)
    const { forget } = process()
    await forget()
    expect(await rowsOf({ project, source })).toEqual({})
    await t.database.transaction(() => insertRows('hook_request', [row as never]))
    await forget()
    expect(await rowsOf({ project, source })).toEqual({})
  })

  test('begins to be forgotten at once, in the process that was asked', async () => {
    const own = await furnished()
    await t.admin.deleteProject(own.project.id)
    await until('nothing is left', async () => Object.keys(await rowsOf(own)).length === 0)
  })

  test('keeps no refused request that came before and is stored afterwards', async () => {
    const [gone, kept] = [await furnished(), await furnished()]
    const rows = [gone, kept].map(({ project, source }) => ({ project, source }))
    const refused = await Promise.all(
      rows.map(async ({ project }): Promise<Command> => {
        const [row] = (await t.tables())
          .get('hook_request')!
          .filter((one) => one.project_id === project.id && one.reason === 'invalid_payload')
        return { kind: 'refused', row: { ...(row as never as { id: string }), id: newId() } as never }
      }),
    )
    const { delete: remove, forget } = process()
    await remove(gone.project)
    await forget()
    const before = await rowsOf(kept)
    const runBatch = createBatchRunner(() => ({ newId, now: t.clock.at() }))
    await t.database.transaction(() => runBatch(refused))
    expect(await rowsOf(gone)).toEqual({})
    expect((await rowsOf(kept)).hook_request).toBe(before.hook_request! + 1)
  })
})
