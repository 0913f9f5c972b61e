import { randomBytes } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openTocsin } from '../../core/index.ts'
import { openOn } from '../../core/open-tocsin.ts'
import { migrate } from '../../core/store/migrate.ts'
import { migrations } from '../../core/store/migrations/index.ts'
import { type Database, openDatabase } from '../../core/store/open-database.ts'
import type { OpenOptions } from '../../core/tocsin.ts'
import { databaseKinds, freshDatabase } from '../support/databases.ts'
import { until } from '../support/until.ts'
import { ADMIN, DAY, refusal, SECRET_KEY, testTocsin } from './open-test-tocsin.ts'

describe.each(databaseKinds)('projects on %s', (kind) => {
  const t = testTocsin(kind)
  const { clock } = t

  test('a new one has nothing set; what holds is shown beside', async () => {
    const { project } = await t.admin.createProject({ name: 'Shop' })
    expect(project).toEqual({
      id: project.id,
      name: 'Shop',
      plan: 'unlimited',
      policy: {
        grouping: null,
        groupBy: null,
        attachWindowMinutes: null,
        reopenWindowMinutes: null,
        manualQuietMinutes: null,
        resolveGraceSeconds: null,
        resolveStale: null,
        openAfter: null,
        strictExternalId: null,
        resolveScope: null,
      },
      effectivePolicy: { attachWindowMinutes: 1440, manualQuietMinutes: 5, resolveGraceSeconds: 0 },
      ingestionEnabled: true,
      createdAt: clock.at(),
    })
    expect(await t.admin.getProject(project.id)).toEqual({ project })
  })

  test('fields of a policy change one by one', async () => {
    const project = await t.project({ policy: { reopenWindowMinutes: 3, grouping: 'signal' } })
    const update = async (policy: object) => (await t.admin.updateProject(project.id, { policy })).project
    expect((await update({ manualQuietMinutes: 7 })).policy).toMatchObject({
      reopenWindowMinutes: 3,
      grouping: 'signal',
      manualQuietMinutes: 7,
    })
    expect((await update({ grouping: null })).policy.grouping).toBeNull()
    expect((await update({ preset: 'literal', reopenWindowMinutes: 9 })).policy).toMatchObject({
      resolveScope: 'incident',
      strictExternalId: true,
      reopenWindowMinutes: 9,
      attachWindowMinutes: null,
    })
  })

  test('an attach window of null is for ever', async () => {
    const project = await t.project({ policy: { attachWindowMinutes: null } })
    expect((await t.admin.getProject(project.id)).project.effectivePolicy.attachWindowMinutes).toBeNull()
    const source = await project.source()
    const { incident } = await source.send({ id: 'a', title: 'A' })
    clock.pass(400 * DAY)
    expect((await source.send({ id: 'b', title: 'B' })).incident?.id).toBe(incident?.id)
    await t.admin.updateProject(project.id, { policy: { attachWindowMinutes: 60 } })
    clock.pass(61 * 60_000)
    expect((await source.send({ id: 'c', title: 'C' })).outcome).toBe('opened')
  })

  test('what this version does not do is refused by name', async () => {
    const project = await t.project()
    const source = await project.source()
    for (const [field, policy] of Object.entries({
      openAfter: { openAfter: { fires: 2 } },
      resolveStale: { resolveStale: true },
    })) {
      const refused = await refusal(t.admin.updateProject(project.id, { policy }))
      expect([refused.code, refused.message]).toEqual([
        'invalid_request',
        expect.stringMatching(`^policy.${field}: not available`),
      ])
      expect((await refusal(t.admin.createProject({ name: 'x', policy }))).code).toBe('invalid_request')
    }
    const stale = await refusal(source.set({ staleAfterMinutes: 5 }))
    expect(stale.message).toMatch(/^settings.staleAfterMinutes: not available/)
    const cidr = await refusal(source.set({ cidrs: ['192.0.2.0/33'] }))
    expect(cidr.message).toMatch(/^settings.cidrs: /)
    for (const text of ['json(a', 'json(a) b', ' json(a)', 'JSON(a)', 'json (a)']) {
      const mapping = await refusal(source.set({ mapping: { id: 'json(id)', title: text } }))
      expect([mapping.code, mapping.message]).toEqual([
        'invalid_request',
        expect.stringMatching(/^settings\.mapping\.title: .* Write json\(a\.b\)/),
      ])
    }
    const made = await refusal(project.source('generic', { settings: { mapping: { id: 'json(a' } } }))
    expect(made.message).toMatch(/^settings\.mapping\.id: /)
    await source.set({ mapping: { title: 'About json(a' } })
    const adapter = await refusal(t.admin.createSource(project.id, { adapter: 'nobody' }))
    expect(adapter.message).toMatch(/^adapter: unknown/)
    for (const secret of ['short', ' padded-secret'])
      expect((await refusal(project.source('generic', { secret }))).message).toMatch(/^secret: /)
    expect(
      (await refusal(project.source('betterstack', { secret: 'has spaces in it, so no' }))).message,
    ).toMatch(/^secret: /)
  })

  test('the plan business is called team', async () => {
    const { project } = await t.admin.createProject({ name: 'x', plan: 'business' })
    expect(project.plan).toBe('team')
  })

  test('page newest first', async () => {
    const names = ['p1', 'p2', 'p3', 'p4', 'p5']
    for (const name of names) {
      clock.pass(1)
      await t.admin.createProject({ name })
    }
    const seen: string[] = []
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await t.admin.listProjects({ limit: 2, ...(cursor && { cursor }) })
      seen.push(...page.projects.map((project) => project.name))
      cursor = page.nextCursor
    }
    expect(seen.slice(0, 5)).toEqual(names.toReversed())
    expect(new Set(seen).size).toBeGreaterThan(5)
  })

  test('deletion takes every row with it, and nothing of others', async () => {
    const made = await Promise.all(
      [0, 1].map(async () => {
        const project = await t.project()
        const generic = await project.source()
        const alertmanager = await project.source('alertmanager')
        const { incident } = await generic.send({ id: 'x', title: 'X' })
        await refusal(generic.send({ title: 'X' }, { secret: 'wrong' }))
        const startsAt = clock.at()
        const alerts = [{ status: 'firing', labels: { alertname: 'a' }, startsAt, fingerprint: 'a' }]
        await alertmanager.send({ groupKey: 'g', status: 'firing', alerts })
        await t.admin.addNote(project.id, incident!.id, { text: 'Note' })
        await t.admin.createKey(project.id, { name: 'k', scopes: ['admin'] })
        await t.tocsin.once(
          ADMIN,
          { key: project.id, requestHash: 'h', projectId: project.id },
          async () => ({ status: 204, body: null }),
        )
        return { project, sources: [generic.id, alertmanager.id] }
      }),
    )
    const [gone, kept] = made
    const rowsOf = async ({ project, sources }: (typeof made)[number]) => {
      const found: Record<string, unknown[]> = {}
      for (const [name, rows] of await t.tables()) {
        const own = rows.filter((row) =>
          Object.values(row).some((value) => value === project.id || sources.includes(String(value))),
        )
        if (own.length > 0) found[name] = own
      }
      return found
    }
    const before = await rowsOf(kept!)
    expect(Object.keys(before).sort()).toEqual([
      'api_key',
      'event',
      'hook_request',
      'idempotency',
      'incident',
      'log_entry',
      'occurrence',
      'project',
      'sender_group',
      'signal',
      'source',
      'source_credential',
      'source_hour',
      'timeline_entry',
    ])
    await t.admin.deleteProject(gone!.project.id)
    await until('nothing of it is left', async () => Object.keys(await rowsOf(gone!)).length === 0)
    expect(await rowsOf(kept!)).toEqual(before)
    expect((await refusal(t.admin.getProject(gone!.project.id))).code).toBe('not_found')
    expect((await refusal(t.admin.deleteProject(gone!.project.id))).code).toBe('not_found')
  })

  describe('keys', () => {
    test('expire by the clock', async () => {
      const project = await t.project()
      const expiresAt = clock.at(DAY)
      const { key, secret } = await t.admin.createKey(project.id, {
        name: 'k',
        scopes: ['admin', 'admin'],
        expiresAt,
      })
      expect(key).toEqual({
        id: key.id,
        name: 'k',
        scopes: ['admin'],
        projectId: project.id,
        createdAt: clock.at(),
        expiresAt,
      })
      clock.pass(DAY - 1)
      expect(await t.tocsin.authenticateKey(secret)).toMatchObject({ keyId: key.id, projectId: project.id })
      clock.pass(1)
      expect(await t.tocsin.authenticateKey(secret)).toBeUndefined()
    })

    test('are gone at once when deleted; the list never shows their secret', async () => {
      const project = await t.project()
      const { key, secret } = await t.admin.createKey(project.id, { name: 'k', scopes: ['admin'] })
      const { keys } = await t.admin.listKeys(project.id, {})
      expect(keys).toEqual([key])
      expect(JSON.stringify(keys)).not.toContain(secret)
      await t.admin.deleteKey(project.id, key.id)
      expect(await t.tocsin.authenticateKey(secret)).toBeUndefined()
      expect((await refusal(t.admin.deleteKey(project.id, key.id))).code).toBe('not_found')
    })
  })
})

describe.each(databaseKinds)('starting on %s', (kind) => {
  async function database(): Promise<string> {
    const { url, dispose } = await freshDatabase(kind)
    onTestFinished(dispose)
    return url
  }

  async function start(databaseUrl: string, options: Partial<OpenOptions> = {}) {
    const tocsin = await openTocsin({
      databaseUrl,
      secretKey: SECRET_KEY,
      publicUrl: 'https://tocsin.example',
      defaultPlan: 'pro',
      ...options,
    })
    onTestFinished(() => tocsin.close())
    return tocsin
  }

  test('the first time makes a project, a generic source and an admin key, once', async () => {
    const url = await database()
    const first = await start(url)
    const { adminKey, projectId, sourceSecret } = first.firstStart!
    expect(adminKey?.length).toBeGreaterThanOrEqual(24)
    const caller = await first.authenticateKey(adminKey!)
    expect(caller).toMatchObject({ projectId: null, name: 'admin' })
    const tocsin = first.actingAs(caller!)
    const { project } = await tocsin.getProject(projectId)
    expect(project).toMatchObject({ name: 'default', plan: 'pro' })
    const { sources } = await tocsin.listSources(projectId, {})
    expect(sources).toMatchObject([{ adapter: 'generic', secret: sourceSecret }])

    const second = await start(url)
    expect([second.firstStart, second.defaultProjectId]).toEqual([null, projectId])
    expect((await second.actingAs(ADMIN).listProjects({})).projects).toHaveLength(1)
    await second.actingAs(ADMIN).deleteProject(projectId)
    expect((await start(url)).defaultProjectId).toBeNull()
  })

  test('several at once make one project and one admin key', async () => {
    const url = await database()
    const all = await Promise.all([start(url), start(url), start(url)])
    expect(all.filter((tocsin) => tocsin.firstStart !== null)).toHaveLength(1)
    expect(new Set(all.map((tocsin) => tocsin.defaultProjectId)).size).toBe(1)
    expect((await all[0]!.actingAs(ADMIN).listProjects({})).projects).toHaveLength(1)
  })

  test('what it made can be had by later starts, until it was shown', async () => {
    const url = await database()
    const first = await start(url)
    const second = await start(url)
    expect(await second.firstStartLeft()).toEqual(first.firstStart)
    await first.firstStartShown()
    expect(await second.firstStartLeft()).toBeNull()
  })

  test('it is one commit: where its answer is lost, the next start has the key', async () => {
    const url = await database()
    const opened = await openDatabase(url)
    await migrate(opened, migrations)
    const options = {
      databaseUrl: url,
      secretKey: SECRET_KEY,
      publicUrl: 'http://127.0.0.1',
      defaultPlan: 'pro',
    } as const
    const losing: Database = {
      ...opened,
      async transaction(work, how) {
        await opened.transaction(work, how)
        throw new Error('the answer is lost')
      },
    }
    await expect(openOn(losing, options)).rejects.toThrow('the answer is lost')
    await opened.close()

    const next = await start(url)
    const left = await next.firstStartLeft()
    expect(await next.authenticateKey(left!.adminKey!)).toMatchObject({ scopes: ['admin'], projectId: null })
    const { sources } = await next.actingAs(ADMIN).listSources(next.defaultProjectId!, {})
    expect(sources).toMatchObject([{ adapter: 'generic', secret: left!.sourceSecret }])
  })

  test('what is still to be shown is stored sealed', async () => {
    const url = await database()
    const { firstStart } = await start(url)
    const opened = await openDatabase(url)
    const settings = JSON.stringify(await opened.read.selectFrom('setting').selectAll().execute())
    await opened.close()
    for (const secret of [firstStart!.adminKey!, firstStart!.sourceSecret])
      expect(settings).not.toContain(secret)
  })

  test('a given admin key holds from that start on', async () => {
    const url = await database()
    const given = 'a-key-of-at-least-24-characters'
    const first = await start(url, { adminKey: given })
    expect(first.firstStart?.adminKey).toBeNull()
    // It names no scope that `admin` implies: what reaches an assistant must be named.
    expect(await first.authenticateKey(given)).toMatchObject({ scopes: ['admin'], projectId: null })
    const second = await start(url, { adminKey: 'another-key-of-24-characters' })
    expect(await second.authenticateKey('another-key-of-24-characters')).toMatchObject({ projectId: null })
    expect(await second.authenticateKey('a-key-nobody-has-ever-given')).toBeUndefined()
    expect(await second.authenticateKey('')).toBeUndefined()
  })

  test('another secret key is refused in words, and harms nothing', async () => {
    const url = await database()
    await start(url)
    await expect(
      start(url, { secretKey: randomBytes(32), adminKey: 'a-key-of-a-stranger-123456' }),
    ).rejects.toThrow(/^TOCSIN_SECRET_KEY: not the key this database was made with/)
    const again = await start(url)
    expect(await again.authenticateKey('a-key-of-a-stranger-123456')).toBeUndefined()
    expect(await again.isReady()).toBe(true)
  })
})
