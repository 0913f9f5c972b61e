import { describe, expect, test } from 'vitest'
import { createIds } from '../../core/ids.ts'
import { forgetGone } from '../../core/retention.ts'
import { insertRows } from '../../core/store/statement.ts'
import type { Core } from '../../core/use-cases/core.ts'
import { deleteEndpoint } from '../../core/use-cases/endpoints.ts'
import { databaseKinds } from '../support/databases.ts'
import { until } from '../support/until.ts'
import { ADMIN, type TestProject, testTocsin } from './open-test-tocsin.ts'
import { watchedWriter } from './watched-writer.ts'

/** As many messages as there may be in one transaction. */
const BATCH = 200
const MESSAGES = 450

describe.each(databaseKinds)('an endpoint that is deleted, on %s', (kind) => {
  const t = testTocsin(kind)
  const newId = createIds(t.clock.now, (size) => Buffer.alloc(size, 4))
  const url = 'http://127.0.0.1:9/hook'

  /** With a long log. */
  async function furnished() {
    const project = await t.project()
    const { endpoint } = await t.admin.createEndpoint(project.id, { url })
    await t.admin.createIncident(project.id, { title: 'Down' })
    const [message] = (await t.tables()).get('message')!.filter((row) => row.endpoint_id === endpoint.id)
    const messages = Array.from({ length: MESSAGES - 1 }, () => ({ ...message, id: newId() }))
    const attempts = [message!, ...messages].map(({ id }) => ({
      id: newId(),
      message_id: id,
      project_id: project.id,
      at: t.clock.at(),
      duration_ms: 1,
    }))
    await t.database.transaction(function* () {
      yield* insertRows('message', messages as never)
      yield* insertRows('attempt', attempts as never)
    })
    return { project, endpoint }
  }

  async function countOf({ project }: { project: TestProject }) {
    const tables = await t.tables()
    return ['message', 'attempt'].map(
      (name) => tables.get(name)!.filter((row) => row.project_id === project.id).length,
    )
  }

  test('is gone at once; its log goes in small transactions, with nothing of others', async () => {
    const [gone, kept] = [await furnished(), await furnished()]
    const answers: unknown[] = []
    const core = { database: t.database, writer: watchedWriter(t, answers) }
    await deleteEndpoint(
      {
        ...core,
        directory: { forget: () => {} },
        context: () => ({ now: t.clock.at() }),
        onGone: () => {},
      } as unknown as Core,
      ADMIN,
      gone.project.id,
      gone.endpoint.id,
    )
    expect(await countOf(gone)).toEqual([MESSAGES, MESSAGES])
    expect((await t.admin.listEndpoints(gone.project.id, {})).endpoints).toEqual([])
    const again = await t.admin.createEndpoint(gone.project.id, { url })
    expect((await t.admin.listMessages(gone.project.id, again.endpoint.id, {})).messages).toEqual([])

    answers.length = 0
    await forgetGone(core)
    expect(await countOf(gone)).toEqual([0, 0])
    expect(await countOf(kept)).toEqual([MESSAGES, MESSAGES])
    expect(answers).toEqual([BATCH, BATCH, MESSAGES - 2 * BATCH, 0])
  })

  test('begins to be forgotten at once, in the process that was asked', async () => {
    const own = await furnished()
    await t.admin.deleteEndpoint(own.project.id, own.endpoint.id)
    await until('its log is gone', async () => (await countOf(own)).every((count) => count === 0))
  })
})
