import { describe, expect, test } from 'vitest'
import type { OpenedTocsin } from '../../core/index.ts'
import { databaseKinds } from '../support/databases.ts'
import { ADMIN, betterStack, refusal, type TestProject, testTocsin } from './open-test-tocsin.ts'

const SENT = Array.from({ length: 64 }, (_, i) => i)

describe.each(databaseKinds)('many at once on %s', (kind) => {
  const t = testTocsin(kind)
  const { clock } = t

  /** Numbers, transitions and positions without gaps or repeats. */
  async function expectOrderly(project: TestProject): Promise<void> {
    const tables = await t.tables()
    const rows = (name: string) => tables.get(name)!.filter((row) => row.project_id === project.id)
    const numbers = rows('incident').map((row) => Number(row.number))
    expect(numbers.sort((a, b) => a - b)).toEqual(numbers.map((_, i) => i + 1))
    for (const { id } of rows('incident')) {
      const sequence = rows('timeline_entry').flatMap((row) =>
        row.incident_id === id && row.sequence !== null ? [Number(row.sequence)] : [],
      )
      expect(sequence.sort((a, b) => a - b)).toEqual(sequence.map((_, i) => i + 1))
    }
    const positions = [...rows('event'), ...rows('log_entry')].map((row) => Number(row.position))
    expect(positions.sort((a, b) => a - b)).toEqual(positions.map((_, i) => i + 1))
  }

  async function send(project: TestProject, same: boolean, by: OpenedTocsin[]) {
    const source = await project.source('betterstack')
    const startedAt = clock.at()
    const answers = await Promise.all(
      SENT.map((i) => {
        const id = same ? 'same' : `i${i}`
        return source.send(betterStack('started', { id, monitor: id, startedAt }), { by: by[i % by.length]! })
      }),
    )
    return answers.map((answer) => answer.outcome).sort()
  }

  test('64 different first alerts open one incident', async () => {
    const project = await t.project()
    expect(await send(project, false, [t.tocsin])).toEqual([...Array(63).fill('attached'), 'opened'])
    expect(await project.incidents()).toMatchObject([{ signalCount: 64, firingCount: 64, eventCount: 64 }])
    await expectOrderly(project)
  })

  test('64 times the same alert is one event', async () => {
    const project = await t.project()
    expect(await send(project, true, [t.tocsin])).toEqual([...Array(63).fill('duplicate'), 'opened'])
    const [incident] = await project.incidents()
    expect(incident).toMatchObject({ signalCount: 1, firingCount: 1, eventCount: 1 })
    expect(await project.events(incident!.id)).toMatchObject([{ duplicateCount: 63 }])
  })

  test('64 different first alerts open one incident though two processes take them', async () => {
    const project = await t.project()
    const other = await t.another()
    expect(await send(project, false, [t.tocsin, other])).toEqual([...Array(63).fill('attached'), 'opened'])
    expect(await project.incidents()).toMatchObject([{ signalCount: 64, firingCount: 64, eventCount: 64 }])
    await expectOrderly(project)
  })

  test('64 times the same alert is one event though two processes take it', async () => {
    const project = await t.project()
    const other = await t.another()
    expect(await send(project, true, [t.tocsin, other])).toEqual([...Array(63).fill('duplicate'), 'opened'])
    expect(await project.incidents()).toMatchObject([{ signalCount: 1, eventCount: 1 }])
  })

  test('people act while alerts arrive', async () => {
    const project = await t.project()
    const source = await project.source()
    const other = await t.another()
    const { incident } = await source.send({ id: 'first', title: 'First' })
    await Promise.all([
      ...SENT.slice(0, 16).map((i) =>
        source.send({ id: `p${i}`, title: `P ${i}` }, i % 2 ? { by: other } : {}),
      ),
      t.admin.acknowledgeIncident(project.id, incident!.id, {}),
      other.actingAs(ADMIN).acknowledgeIncident(project.id, incident!.id, {}),
      other.actingAs(ADMIN).addNote(project.id, incident!.id, { text: 'Seen.' }),
      t.admin.createIncident(project.id, { title: 'By hand' }),
    ])
    const timeline = await project.timeline(incident!.id)
    expect(timeline.filter((entry) => entry.kind === 'acknowledged')).toHaveLength(1)
    expect((await project.incident(incident!.id)).signalCount).toBe(17)
    await expectOrderly(project)
  })

  test('a grace that ends is carried out once by however many look', async () => {
    const project = await t.project({ policy: { resolveGraceSeconds: 10 } })
    const source = await project.source()
    const { incident } = await source.send({ id: 'x', title: 'X' })
    await source.send({ id: 'x', action: 'resolve' })
    clock.pass(10_000)
    await Promise.all([t.due(), t.due(), t.due()])
    const timeline = await project.timeline(incident!.id)
    expect(timeline.filter((entry) => entry.kind === 'resolved')).toHaveLength(1)
    await expectOrderly(project)
  })
})

describe.each(databaseKinds)(
  'a change made by another process on %s holds from the next request on',
  (kind) => {
    const t = testTocsin(kind)

    /** A project that this process remembers, and the use-cases of another process. */
    async function two(adapter = 'generic') {
      const project = await t.project()
      const source = await project.source(adapter)
      const other = (await t.another()).actingAs(ADMIN)
      const body =
        adapter === 'generic'
          ? { title: 'X' }
          : betterStack('started', { id: 'x', monitor: 'x', startedAt: t.clock.at() })
      await source.send(body)
      return { project, source, other, send: () => source.send(body) }
    }

    test.each(['generic', 'betterstack'])('a credential of %s rotated without overlap', async (adapter) => {
      const { project, source, other, send } = await two(adapter)
      const rotated = await other.rotateSource(project.id, source.id, { overlapMinutes: 0 })
      expect((await refusal(send())).code).toBe('unauthorized')
      const secret = rotated.secret ?? rotated.source.url.split('/').at(-1)!
      expect((await source.send({ id: 'y', title: 'Y', event: 'started' }, { secret })).success).toBe(true)
    })

    test('a credential rotated with overlap, until its end by the clock', async () => {
      const { project, source, other, send } = await two()
      const { secret } = await other.rotateSource(project.id, source.id, { overlapMinutes: 10 })
      expect((await send()).success).toBe(true)
      t.clock.pass(10 * 60_000 - 1)
      expect((await send()).success).toBe(true)
      t.clock.pass(1)
      expect((await refusal(send())).code).toBe('unauthorized')
      expect((await source.send({ title: 'X' }, { secret: secret! })).success).toBe(true)
    })

    test('a source switched off, and on again', async () => {
      const { project, source, other, send } = await two()
      await other.updateSource(project.id, source.id, { enabled: false })
      expect((await refusal(send())).code).toBe('ingestion_disabled')
      await other.updateSource(project.id, source.id, { enabled: true })
      expect((await send()).success).toBe(true)
    })

    test('a list of addresses, and its end', async () => {
      const { project, source, other, send } = await two()
      await other.updateSource(project.id, source.id, { settings: { cidrs: ['192.0.2.0/24'] } })
      expect((await refusal(send())).code).toBe('ip_not_allowed')
      await other.updateSource(project.id, source.id, { settings: { cidrs: [] } })
      expect((await send()).success).toBe(true)
    })

    test('a source deleted', async () => {
      const { project, source, other, send } = await two()
      await other.deleteSource(project.id, source.id)
      expect((await refusal(send())).code).toBe('unauthorized')
    })

    test('ingestion of the project switched off, and on again', async () => {
      const { project, other, send } = await two()
      await other.updateProject(project.id, { ingestionEnabled: false })
      expect((await refusal(send())).code).toBe('ingestion_disabled')
      await other.updateProject(project.id, { ingestionEnabled: true })
      expect((await send()).success).toBe(true)
    })

    test('the plan set to free, and to another', async () => {
      const { project, other, send } = await two()
      await other.updateProject(project.id, { plan: 'free' })
      expect((await refusal(send())).code).toBe('ingestion_disabled')
      await other.updateProject(project.id, { plan: 'business' })
      expect((await send()).success).toBe(true)
    })

    test('a project deleted', async () => {
      const { project, other, send } = await two()
      await other.deleteProject(project.id)
      expect((await refusal(send())).code).toBe('unauthorized')
    })

    test('a policy', async () => {
      const { project, source, other } = await two()
      await other.updateProject(project.id, { policy: { grouping: 'signal' } })
      expect((await source.send({ id: 'z', title: 'Z' })).outcome).toBe('opened')
    })

    test('a second source of the same adapter, for a key of the API', async () => {
      const { project, source, other } = await two()
      const { secret } = await other.createKey(project.id, { name: 'k', scopes: ['events:write'] })
      const { source: second } = await other.createSource(project.id, { adapter: 'generic' })
      const headers = { authorization: `Bearer ${secret}` }
      const request = { secret: 'wrong', headers }
      expect((await source.send({ title: 'X' }, request)).success).toBe(true)
      await other.deleteSource(project.id, source.id)
      expect((await refusal(source.send({ title: 'X' }, request))).code).toBe('invalid_request')
      expect(second.enabled).toBe(true)
    })

    test('a key deleted', async () => {
      const { project, source, other } = await two()
      const { key, secret } = await other.createKey(project.id, { name: 'k', scopes: ['events:write'] })
      const request = { secret: 'wrong', headers: { authorization: `Bearer ${secret}` } }
      await source.send({ title: 'X' }, request)
      await other.deleteKey(project.id, key.id)
      expect((await refusal(source.send({ title: 'X' }, request))).code).toBe('unauthorized')
      expect(await t.tocsin.authenticateKey(secret)).toBeUndefined()
    })
  },
)
