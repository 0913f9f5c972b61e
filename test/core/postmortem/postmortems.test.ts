import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../../support/databases.ts'
import { until } from '../../support/until.ts'
import { betterStack, MINUTE, notification, refusal, testTocsin } from '../open-test-tocsin.ts'

describe.each(databaseKinds)('post-mortems on %s', (kind) => {
  const t = testTocsin(kind)

  async function outage() {
    const project = await t.project()
    const source = await project.source('alertmanager', { name: 'Alertmanager' })
    const startsAt = t.clock.at(-20_000)
    await source.send(notification([{ fingerprint: 'a', startsAt, labels: { service: 'checkout' } }]))
    t.clock.pass(2 * MINUTE)
    await t.admin.acknowledgeIncident(project.id, 'INC-001', { note: 'Looking at the queue.' })
    t.clock.pass(3 * MINUTE)
    await source.send(notification([{ fingerprint: 'a', startsAt, endsAt: t.clock.at(-5000) }]))
    const [incident] = await project.incidents()
    return { project, source, incident: incident! }
  }

  test('a draft is stored as a revision, a person adds another, each can be read', async () => {
    const { project, incident } = await outage()
    const drafted = await t.admin.draftPostmortem(project.id, incident.reference, {})
    expect(drafted.postmortem).toMatchObject({
      ...{ incidentId: incident.id, reference: 'INC-001', revision: 1 },
      ...{ template: 'standard', audience: 'internal', generatedBy: 'tocsin', createdBy: 'admin' },
      ...{ fallbackReason: null, createdAt: t.clock.at(), unsupported: [] },
    })
    expect(await t.admin.getPostmortem(project.id, incident.id, {})).toEqual(drafted)

    t.clock.pass(MINUTE)
    const markdown = `${drafted.postmortem.markdown}\nThe queue was full because a consumer had stopped.\n`
    const saved = await t.admin.savePostmortem(project.id, incident.id, { markdown })
    expect(saved.postmortem).toMatchObject({ revision: 2, generatedBy: 'person', markdown, unsupported: [] })
    expect(await t.admin.getPostmortem(project.id, incident.id, {})).toEqual(saved)
    expect(await t.admin.getPostmortem(project.id, incident.id, { revision: 1 })).toEqual(drafted)
    expect(await refusal(t.admin.getPostmortem(project.id, incident.id, { revision: 3 }))).toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('revision'),
    })
  })

  test('a dry run stores nothing and needs to read only', async () => {
    const { project, incident } = await outage()
    const reader = await project.as('incidents:read')
    const { postmortem } = await reader.draftPostmortem(project.id, incident.id, { dryRun: true })
    expect(postmortem).toMatchObject({ revision: null, createdBy: null, generatedBy: 'tocsin' })
    expect(await refusal(reader.draftPostmortem(project.id, incident.id, {}))).toMatchObject({
      code: 'forbidden',
    })
    expect(await refusal(reader.getPostmortem(project.id, incident.id, {}))).toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('POST'),
    })
    const stored = await t.admin.draftPostmortem(project.id, incident.id, {})
    expect(stored.postmortem.markdown).toBe(postmortem.markdown)
  })

  test('what a person writes is flagged where the facts say otherwise, and kept all the same', async () => {
    const { project, incident } = await outage()
    const [event] = await project.events(incident.id)
    const [entry] = await project.timeline(incident.id)
    const markdown = [
      `It began with ${event!.id}, see ${entry!.id} and ${event!.requestId}.`,
      `It was acknowledged 2 min after detection.`,
      'It was acknowledged 9 min after detection.',
      'Mallory restarted the queue.',
      'The ledger service was slow.',
      'It was caused by INC-042.',
      'In all, 7 signals fired.',
      'Of all requests 12.5 % failed.',
      'It began at 03:17.',
      'It began on 3 March.',
      'See 11111111-1111-4111-8111-111111111111.',
      'A consumer had stopped, so the queue grew.',
    ].join('\n')
    const { postmortem } = await t.admin.savePostmortem(project.id, incident.id, { markdown })
    expect(postmortem.markdown).toBe(markdown)
    expect(postmortem.unsupported.map(({ text }) => text)).toEqual([
      'It was acknowledged 9 min after detection.',
      'Mallory restarted the queue.',
      'The ledger service was slow.',
      'It was caused by INC-042.',
      'In all, 7 signals fired.',
      'Of all requests 12.5 % failed.',
      'It began at 03:17.',
      'It began on 3 March.',
      'See 11111111-1111-4111-8111-111111111111.',
    ])
    for (const { why } of postmortem.unsupported) expect(why).toMatch(/^\S.*\.$/)
  })

  test('of revisions that come at once, each has its own number', async () => {
    const { project, incident } = await outage()
    const drafts = await Promise.all(
      Array.from({ length: 6 }, () => t.admin.draftPostmortem(project.id, incident.id, {})),
    )
    const revisions = drafts.map(({ postmortem }) => postmortem.revision).sort()
    expect(revisions).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('another project has no part in it, and with the project it is gone', async () => {
    const { project, incident } = await outage()
    await t.admin.draftPostmortem(project.id, incident.id, {})
    const other = await t.project()
    for (const call of [
      () => t.admin.draftPostmortem(other.id, incident.id, {}),
      () => t.admin.getPostmortem(other.id, incident.id, {}),
      () => t.admin.savePostmortem(other.id, incident.id, { markdown: 'x' }),
    ])
      expect(await refusal(call())).toMatchObject({ code: 'not_found' })
    await t.admin.deleteProject(project.id)
    await until('nothing of it is left', async () =>
      (await t.tables()).get('postmortem')!.every((row) => row.project_id !== project.id),
    )
  })

  test('a storm of a thousand events is still a page', async () => {
    const project = await t.project()
    const source = await project.source('alertmanager')
    const startsAt = t.clock.at()
    const alerts = Array.from({ length: 250 }, (_, i) => ({ fingerprint: `alert ${i}`, startsAt }))
    for (let i = 0; i < alerts.length; i += 50) await source.send(notification(alerts.slice(i, i + 50)))
    for (let minute = 1; minute <= 3; minute++) {
      t.clock.pass(MINUTE)
      const again = alerts.map((alert) => ({ ...alert, startsAt: t.clock.at() }))
      for (let i = 0; i < again.length; i += 50) await source.send(notification(again.slice(i, i + 50)))
    }
    const { postmortem } = await t.admin.draftPostmortem(project.id, 'INC-001', { dryRun: true })
    expect(postmortem.facts.counts).toMatchObject({ events: 1000, signals: 250, firing: 250, firings: 1000 })
    expect(postmortem.facts.signals).toHaveLength(20)
    expect(postmortem.markdown).toContain('The first 20 of 250 signals.')
    expect(postmortem.markdown.length).toBeLessThan(40_000)
  })

  test('what nobody reported is asked for', async () => {
    const project = await t.project()
    const source = await project.source('betterstack', { name: 'Better Stack' })
    const body = { id: '1', monitor: 'm1', startedAt: t.clock.at(-10 * MINUTE) }
    await source.send(betterStack('started', body))
    await source.send(betterStack('started', { ...body, id: '2', monitor: 'm2' }))
    t.clock.pass(MINUTE)
    await t.admin.resolveIncident(project.id, 'INC-001', {})
    const { postmortem } = await t.admin.draftPostmortem(project.id, 'INC-001', { dryRun: true })
    const { facts, markdown, gaps } = postmortem
    expect(facts).toMatchObject({
      acknowledgedAt: null,
      timeToAcknowledgeMs: null,
      timeToDetectMs: 10 * MINUTE,
    })
    expect(facts.signals.map(({ recovery }) => recovery)).toEqual(['by_hand', 'by_hand'])
    expect(markdown).toMatch(/It was resolved without anybody acknowledging it \[E\d+\]\./)
    expect(markdown).toMatch(/It was resolved by hand while 2 signals still fired \[E\d+\]\./)
    expect(markdown).toMatch(/The first alert arrived only 10 min after the start \[E\d+\]\./)
    const questions = gaps.map(({ question }) => question).join('\n')
    for (const words of [
      'No acknowledgement',
      'No service is named',
      'while 2 signals still fired',
      '10 min after',
    ])
      expect(questions).toContain(words)
  })

  test('times are those the tools know: acknowledged in the tool, heard later', async () => {
    const project = await t.project()
    const source = await project.source('betterstack', { name: 'Better Stack' })
    const body = { id: '1', monitor: 'm', startedAt: t.clock.at() }
    await source.send(betterStack('started', body))
    const acknowledgedAt = t.clock.at(30_000)
    t.clock.pass(2 * MINUTE)
    await source.send(betterStack('acknowledged', { ...body, acknowledgedAt }))
    const { postmortem } = await t.admin.draftPostmortem(project.id, 'INC-001', { dryRun: true })
    expect(postmortem.facts).toMatchObject({ acknowledgedAt, timeToAcknowledgeMs: 30_000 })
    expect(postmortem.markdown).toContain('It was acknowledged in Better Stack at')
    expect(postmortem.markdown).toContain('It is not resolved: 1 signal still firing.')
  })

  test('a recovery that was inferred is called so, and asked for', async () => {
    const project = await t.project({ policy: { resolveScope: 'incident', grouping: 'project' } })
    const source = await project.source('generic', { name: 'Checks' })
    await source.send({ id: 'a', title: 'Queue is full' })
    await source.send({ id: 'b', title: 'Mail is slow' })
    t.clock.pass(MINUTE)
    await source.send({ id: 'b', action: 'resolve' })
    const { postmortem } = await t.admin.draftPostmortem(project.id, 'INC-001', { dryRun: true })
    const { facts, gaps, markdown } = postmortem
    expect(facts.counts.inferredRecoveries).toBe(1)
    expect(facts.signals.map(({ title, recovery }) => [title, recovery])).toEqual([
      ['Queue is full', 'inferred'],
      ['Mail is slow', 'reported'],
    ])
    expect(gaps.map(({ question }) => question)).toContain(
      'The recovery of “Queue is full” was inferred, not reported. When did it really end?',
    )
    expect(markdown).toMatch(/The end of 1 signal had to be inferred \[E\d+\]\./)
    expect(markdown).toContain('Let Checks report when “Queue is full” recovers')
  })

  test('an earlier incident is found by its signals, or by a similar title', async () => {
    const project = await t.project({ policy: { grouping: 'signal' } })
    const source = await project.source('generic')
    const outageOf = async (id: string, title: string) => {
      await source.send({ id, title })
      await source.send({ id, action: 'resolve' })
      t.clock.pass(2 * 24 * 60 * MINUTE)
    }
    await outageOf('shop', 'Checkout fails')
    await outageOf('disk-1', 'Disk of host 1 is full')
    await outageOf('mail', 'Mail is slow')
    await outageOf('disk-2', 'Disk of host 2 is full')
    await outageOf('shop', 'Checkout fails')
    const related = async (reference: string) =>
      (await t.admin.draftPostmortem(project.id, reference, { dryRun: true })).postmortem.related.map(
        ({ reference, why }) => `${reference}: ${why}`,
      )
    expect(await related('INC-004')).toEqual(['INC-002: its title is similar'])
    expect(await related('INC-005')).toEqual(['INC-001: “Checkout fails” fired there too'])
  })

  test('no sender is said to have given a time that is Tocsin’s own', async () => {
    const project = await t.project({ policy: { resolveGraceSeconds: 60, reopenWindowMinutes: 30 } })
    const source = await project.source('generic')
    for (const action of ['alert', 'resolve', 'alert', 'resolve']) {
      await source.send({ id: 'a', title: 'Queue is full', action })
      t.clock.pass(2 * MINUTE)
      await t.due()
    }
    const { postmortem } = await t.admin.draftPostmortem(project.id, 'INC-001', { dryRun: true })
    expect(postmortem.facts.stretches).toHaveLength(2)
    expect(postmortem.markdown).toMatch(/It was resolved at \d\d:\d\d:\d\d, when nothing fired/)
    expect(postmortem.markdown.replaceAll(/^Times .*$/gm, '')).not.toMatch(/by (?:its|the sender's) clock/)
  })

  test('customers are told of one time for one thing', async () => {
    const { project, incident } = await outage()
    const draft = { audience: 'customer', dryRun: true } as const
    const { postmortem } = await t.admin.draftPostmortem(project.id, incident.id, draft)
    const [day, end] = [postmortem.facts.resolvedAt!.slice(0, 10), postmortem.facts.resolvedAt!.slice(11, 19)]
    expect(postmortem.markdown).toContain(`It was over on ${day} at ${end} UTC`)
    expect(postmortem.markdown).toContain(`- ${day} ${end} UTC: The problem was over`)
  })

  test('customers are told nothing of the inside', async () => {
    const project = await t.project()
    const source = await project.source('sentry', { name: 'Sentry EU' })
    await source.send(
      {
        action: 'triggered',
        data: {
          event: {
            ...{
              event_id: 'e'.repeat(32),
              issue_id: '1',
              title: 'SecretTitle on db-7',
              culprit: 'inner.module',
            },
            ...{ environment: 'prod-eu', release: 'shop@9.9.9', datetime: t.clock.at() },
            tags: [
              ['service', 'checkout'],
              ['server_name', 'web-7.internal'],
            ],
            exception: { values: [{ stacktrace: { frames: [{ filename: 'pay.py', function: 'charge' }] } }] },
          },
        },
      },
      { headers: { 'sentry-hook-resource': 'event_alert' } },
    )
    await t.admin.addNote(project.id, 'INC-001', { text: 'Mia restarts db-7.' })
    const { postmortem } = await t.admin.draftPostmortem(project.id, 'INC-001', {
      audience: 'customer',
      dryRun: true,
    })
    expect(JSON.stringify(postmortem)).not.toMatch(
      /SecretTitle|db-7|inner\.module|prod-eu|9\.9\.9|web-7|pay\.py|charge|Mia|admin|Sentry EU/,
    )
    expect(postmortem.markdown).toContain('“checkout”')
  })
})

describe('a model that does not answer', () => {
  const t = testTocsin('sqlite', {
    model: { baseUrl: 'http://127.0.0.1:1/v1', model: 'none', apiKey: 'sk-canary-of-the-model' },
  })

  test('leaves the deterministic draft, which says so', async () => {
    const project = await t.project()
    await t.admin.createIncident(project.id, { title: 'By hand' })
    const { postmortem } = await t.admin.draftPostmortem(project.id, 'INC-001', {})
    expect(postmortem).toMatchObject({
      generatedBy: 'tocsin',
      fallbackReason: 'The endpoint of the model could not be reached.',
      markdown: expect.stringContaining('INC-001 was opened by hand: “By hand”'),
    })
    expect(JSON.stringify(postmortem)).not.toContain('canary')
    expect(t.faults).toEqual([])
  })
})
