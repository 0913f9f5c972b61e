import { describe, expect, test } from 'vitest'
import type { WorkerOptions } from '../../../core/delivery/worker.ts'
import { createIds } from '../../../core/ids.ts'
import { insertRows, type Step, type Work } from '../../../core/store/statement.ts'
import { databaseKinds } from '../../support/databases.ts'
import { HOUR, MINUTE, openPost, type Post, SECOND, START } from './harness.ts'

/** Messages looked at in one transaction. */
const PART = 200
const INCIDENTS = 225
/** Two of each incident. */
const MESSAGES = 2 * INCIDENTS

const LATER = new Date(START + HOUR).toISOString()

/** Puts in messages that wait: of each incident one that is due, all but the first in an hour, and one behind it. */
async function longQueue(post: Post, endpoint: string): Promise<void> {
  const { incident } = await post.tocsin.createIncident(post.project, { title: 'Down' })
  await post.tocsin.resolveIncident(post.project, incident.id, {})
  const two = await post.database.read
    .selectFrom('message')
    .selectAll()
    .where('endpoint_id', '=', endpoint)
    .orderBy('id')
    .execute()
  const now = () => new Date(post.clock.now)
  const newId = createIds(now, (size) => Buffer.alloc(size, 5))
  const rows = Array.from({ length: INCIDENTS - 1 }, newId).flatMap((incident_id) =>
    two.map((row) => ({ ...row, id: newId(), incident_id, due_at: row.due_at && LATER })),
  )
  await post.database.transaction(() => insertRows('message', rows))
}

/** What stands in the database of a queue. */
async function queued(post: Post, endpoint: string) {
  return await post.database.read
    .selectFrom('message')
    .select(['id', 'incident_id', 'sequence', 'status', 'reason', 'due_at', 'deadline_at'])
    .where('endpoint_id', '=', endpoint)
    .orderBy('incident_id')
    .orderBy('sequence')
    .execute()
}

async function notes(post: Post): Promise<number> {
  const names = await post.database.read.selectFrom('setting').select('name').execute()
  return names.filter(({ name }) => name.startsWith('catch_up/')).length
}

/** Everything has gone out once since so many, and of each incident the first message before the second. */
async function expectInOrder(post: Post, endpoint: string, from: number): Promise<void> {
  const sent = post.sent.slice(from).map(({ id }) => id)
  expect(sent).toHaveLength(MESSAGES)
  expect(new Set(sent).size).toBe(MESSAGES)
  const lanes = Map.groupBy(await queued(post, endpoint), ({ incident_id }) => incident_id)
  const places = [...lanes.values()].map((lane) => lane.map(({ id }) => sent.indexOf(id)))
  expect(places).toHaveLength(INCIDENTS)
  expect(places.filter(([first, second]) => !(first! < second!))).toEqual([])
}

/** Counts what each transaction changes. */
function watched(post: Post): { change: WorkerOptions['change']; most: () => number } {
  let most = 0
  return {
    most: () => most,
    change: (run) => post.change((context) => counted(run(context), (rows) => (most = Math.max(most, rows)))),
  }
}

function* counted<T>(work: Work<T>, tell: (rows: number) => void): Work<T> {
  let rows = 0
  let turn = work.next()
  while (!turn.done) {
    const answer: unknown = yield turn.value
    rows += changedBy(turn.value, answer)
    turn = work.next(answer)
  }
  tell(rows)
  return turn.value
}

/** Of the rows that a step has changed, those that it found by itself, and those it was given. */
function changedBy(step: Step, answer: unknown): number {
  if (step.do === 'together') {
    return step.steps.reduce((sum, one, index) => sum + changedBy(one, (answer as unknown[])[index]), 0)
  }
  return step.do === 'run' || step.do === 'insert' || step.do === 'update' ? Number(answer) : 0
}

describe.each(databaseKinds)('an endpoint for which hundreds wait, on %s', (kind) => {
  test('answers 410: it is off at once, all of them fail in parts, and can be sent again', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await longQueue(post, endpoint)
    const [one] = (await queued(post, endpoint)).filter(({ due_at }) => due_at === LATER)
    // What a worker had that died.
    await post.database.migrate((db) =>
      db
        .updateTable('message')
        .set({ lease_token: 'dead', due_at: new Date(START + MINUTE).toISOString() })
        .where('id', '=', one!.id)
        .execute(),
    )
    post.receivers.set('/a', () => 410)
    const { change, most } = watched(post)
    await post.worker({ change }).runOnce()
    expect(post.sent).toHaveLength(1)
    const pending = (await queued(post, endpoint)).filter(({ status }) => status === 'pending')
    expect(pending.map(({ id }) => id)).toEqual([one!.id])

    post.clock.now += MINUTE
    await post.worker({ change }).runOnce()
    expect(new Set((await queued(post, endpoint)).map(({ reason }) => reason))).toEqual(new Set(['gone']))
    expect(most()).toBeLessThan(PART + 10)
    expect(await notes(post)).toBe(0)
    const { counters, disabledReason } = (await post.tocsin.getEndpoint(post.project, endpoint)).endpoint
    expect(disabledReason).toBe('gone')
    expect(counters).toMatchObject({ pending: 0, failed: MESSAGES, attempts: 1 })

    post.receivers.clear()
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: true })
    expect(await post.tocsin.replayEndpoint(post.project, endpoint, {})).toEqual({ replayed: MESSAGES })
    await post.worker().runOnce()
    await expectInOrder(post, endpoint, 1)
  })

  test('answers 410: another worker goes on where one has died, and what is left goes out once it is on', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await longQueue(post, endpoint)
    post.receivers.set('/a', () => 410)
    const dying = () => {
      let changes = 0
      const change: WorkerOptions['change'] = (run) =>
        // It claims, stores the answer, and fails one part.
        ++changes > 3 ? Promise.reject(new Error('dead')) : post.change(run)
      return post.worker({ change })
    }
    const failed = async () =>
      (await queued(post, endpoint)).filter(({ status }) => status === 'failed').length
    await expect(dying().runOnce()).rejects.toThrow('dead')
    expect(await failed()).toBe(1 + PART)
    await expect(dying().runOnce()).rejects.toThrow('dead')
    const before = await failed()
    expect(before).toBeGreaterThan(1 + PART)
    expect(before).toBeLessThan(MESSAGES)

    post.receivers.clear()
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: true })
    await post.worker().runOnce()
    expect(await failed()).toBe(before)
    expect(post.sent.slice(1)).toHaveLength(MESSAGES - before)
    expect(post.sent.every(({ ok }, index) => ok || index === 0)).toBe(true)
    expect(await notes(post)).toBe(0)
  })

  test('is switched on: a part is due with the answer, the others follow, and all go out in order', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await longQueue(post, endpoint)
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: false })
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: true })
    const due = (await queued(post, endpoint)).filter(({ due_at }) => due_at !== null && due_at !== LATER)
    // With the one that was due before.
    expect([PART / 2, PART / 2 + 1]).toContain(due.length)
    const { change, most } = watched(post)
    await post.worker({ change }).runOnce()
    expect(most()).toBeLessThan(PART + 10)
    await expectInOrder(post, endpoint, 0)
    expect(await notes(post)).toBe(0)
  })

  test('is switched on, and what fails then is not sent again before its time', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await longQueue(post, endpoint)
    const last = (await queued(post, endpoint)).findLast(({ due_at }) => due_at !== null)!
    // The first to go out, and the last that is looked at.
    await post.database.migrate((db) =>
      db
        .updateTable('message')
        .set({ due_at: new Date(START - SECOND).toISOString() })
        .where('id', '=', last.id)
        .execute(),
    )
    post.receivers.set('/a', () => {
      post.clock.now += 1
      return 500
    })
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: true })
    await post.worker().runOnce()
    expect(post.sent.map(({ id }) => id)).toContain(last.id)
    expect(new Set(post.sent.map(({ id }) => id)).size).toBe(post.sent.length)
    const [tried] = (await queued(post, endpoint)).filter(({ id }) => id === last.id)
    expect(Date.parse(tried!.due_at!)).toBeGreaterThan(START + 3 * SECOND)
    expect(await notes(post)).toBe(0)
  })

  test('gets another policy: all get its deadline, in parts', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await longQueue(post, endpoint)
    const deadline = new Date(START + 29 * MINUTE + 45 * SECOND).toISOString()
    const withDeadline = async () =>
      (await queued(post, endpoint)).filter(({ deadline_at }) => deadline_at === deadline)
    await post.tocsin.updateEndpoint(post.project, endpoint, { policy: 'uptimera-30m' })
    expect(await withDeadline()).toHaveLength(PART)
    const { change, most } = watched(post)
    const looking = post.worker({ change, inFlight: 0 })
    await looking.runOnce()
    expect(most()).toBeLessThan(PART + 10)
    expect(await withDeadline()).toHaveLength(MESSAGES)
    const due = new Set((await queued(post, endpoint)).map(({ due_at }) => due_at))
    expect(due).toEqual(new Set([null, new Date(START).toISOString(), deadline]))

    await post.tocsin.updateEndpoint(post.project, endpoint, { policy: 'standard-3d' })
    await looking.runOnce()
    expect(await withDeadline()).toEqual([])
    expect(await notes(post)).toBe(0)
  })

  test('comes back after it was deleted and kept: all of them go out, in order', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await longQueue(post, endpoint)
    await post.tocsin.deleteEndpoint(post.project, endpoint, { keepMinutes: 10 })
    expect(await post.endpoint('/a', { policy: 'uptimera-30m' })).toBe(endpoint)
    expect(await notes(post)).toBe(1)
    const { change, most } = watched(post)
    await post.worker({ change }).runOnce()
    expect(most()).toBeLessThan(PART + 10)
    await expectInOrder(post, endpoint, 0)
  })

  test('is deleted before all of it has followed: nothing is left of it', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await longQueue(post, endpoint)
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: true })
    expect(await notes(post)).toBe(1)
    await post.tocsin.deleteEndpoint(post.project, endpoint)
    await post.worker().runOnce()
    expect(await notes(post)).toBe(0)
    expect(post.sent).toEqual([])
  })
})
