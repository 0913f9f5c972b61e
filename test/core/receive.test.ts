import { describe, expect, test } from 'vitest'
import { adapterSlugs } from '../../core/index.ts'
import { databaseKinds } from '../support/databases.ts'
import { betterStack, DAY, HOUR, MINUTE, notification, refusal, testTocsin } from './open-test-tocsin.ts'

describe.each(databaseKinds)('receiving on %s', (kind) => {
  const t = testTocsin(kind)
  const { clock } = t

  describe('through real adapters', () => {
    test('an incident reads as the design says', async () => {
      const project = await t.project()
      const source = await project.source('alertmanager', { name: 'Prometheus' })
      const startsAt = clock.at(-30_000)
      const sent = notification([
        { fingerprint: 'a1', startsAt, labels: { severity: 'critical', service: 'shop', region: 'eu' } },
      ])
      sent.alerts[0]!.annotations = { summary: 'Shop is down' } as never
      const answer = await source.send(sent)
      const { requestId, ...native } = answer

      const incident = await project.incident(answer.incident?.id)
      const signal = incident.signals[0]
      expect(native).toEqual({
        success: true,
        outcome: 'opened',
        duplicate: false,
        incident: {
          id: incident.id,
          reference: 'INC-001',
          title: 'a1',
          severity: 'critical',
          status: 'open',
          url: null,
        },
        events: [{ outcome: 'opened', rule: 'M4', incidentId: incident.id }],
      })
      expect(incident).toEqual({
        id: incident.id,
        reference: 'INC-001',
        projectId: project.id,
        title: 'a1',
        status: 'open',
        severity: 'critical',
        sourceSeverity: 'critical',
        startedAt: startsAt,
        detectedAt: clock.at(),
        openedAt: clock.at(),
        acknowledgedAt: null,
        resolvedAt: null,
        durationMs: null,
        services: ['shop'],
        customerImpact: false,
        drill: false,
        labels: { alertname: 'a1', severity: 'critical', service: 'shop', region: 'eu' },
        metadata: { annotations: { summary: 'Shop is down' } },
        url: null,
        consoleUrl: null,
        signals: [
          {
            id: signal?.id,
            key: 'a1',
            title: 'a1',
            status: 'firing',
            monitor: { id: null, name: 'a1', url: null },
            source: { id: source.id, adapter: 'alertmanager', name: 'Prometheus' },
            firedAt: startsAt,
            recoveredAt: null,
            durationMs: null,
          },
        ],
        signalCount: 1,
        firingCount: 1,
        eventCount: 1,
        reopenCount: 0,
        updatedAt: clock.at(),
      })

      const [event] = await project.events(incident.id)
      expect(event).toMatchObject({
        kind: 'fire',
        outcome: 'opened',
        rule: 'M4',
        signalKey: 'a1',
        sourceId: source.id,
        requestId,
        incidentId: incident.id,
        eventTime: startsAt,
        sourceTime: startsAt,
        sourceStatus: 'firing',
        receivedAt: clock.at(),
        externalId: 'a1',
        flags: [],
        duplicateCount: 0,
        lastSeenAt: clock.at(),
        description: 'Shop is down',
      })
      expect(event?.receipt.at(-1)).toEqual({
        rule: 'M4',
        text: 'No incident takes it, so a new one is opened.',
      })
      const timeline = await project.timeline(incident.id)
      expect(timeline).toMatchObject([
        {
          kind: 'opened',
          at: clock.at(),
          sequence: 1,
          actor: { type: 'source', id: source.id, name: 'Prometheus' },
          requestId,
          eventIds: [event?.id],
        },
        {
          kind: 'context',
          sequence: null,
          text: 'Prometheus: “a1” firing, severity critical.',
          eventIds: [event?.id],
        },
      ])
      expect(await project.requests()).toMatchObject([
        {
          id: requestId,
          sourceId: source.id,
          status: 200,
          outcome: 'opened',
          reason: null,
          incidentId: incident.id,
          replayable: true,
        },
      ])
      const { request } = await t.admin.getRequest(project.id, requestId)
      expect([JSON.parse(request.body ?? ''), request.bodyEncoding]).toEqual([sent, 'utf8'])
      expect(request.events).toEqual([event])
    })

    test('a batch that holds no events is taken, and changes nothing', async () => {
      const project = await t.project()
      const source = await project.source('cloudevents')
      const answer = await source.send([], {
        headers: { 'content-type': 'application/cloudevents-batch+json' },
      })
      expect(answer).toMatchObject({ success: true, outcome: 'info', incident: null, events: [] })
      expect(await project.incidents()).toEqual([])
      expect(await project.requests()).toMatchObject([{ id: answer.requestId, status: 200, outcome: 'info' }])
    })

    test('two alerts of Grafana in one delivery are one incident with one context entry', async () => {
      const project = await t.project()
      const source = await project.source('grafana')
      const startsAt = clock.at(-MINUTE)
      const alerts = [
        { fingerprint: 'g1', startsAt },
        { fingerprint: 'g2', startsAt },
      ]
      const opened = await source.send(notification(alerts))
      expect(opened.events.map((event) => event.outcome)).toEqual(['opened', 'attached'])
      const endsAt = clock.at()
      const first = await source.send(notification([{ ...alerts[0]!, endsAt }, alerts[1]!]))
      expect([first.outcome, first.stillFiring, first.incident?.status]).toEqual(['recovered', 1, 'open'])
      const second = await source.send(notification(alerts.map((alert) => ({ ...alert, endsAt }))))
      expect(second.outcome).toBe('resolved')

      const incident = await project.incident(opened.incident?.id)
      expect(incident).toMatchObject({
        status: 'resolved',
        resolvedAt: endsAt,
        durationMs: MINUTE,
        signalCount: 2,
        firingCount: 0,
      })
      expect(incident.signals.map((signal) => signal.status)).toEqual(['recovered', 'recovered'])
      const kinds = (await project.timeline(incident.id)).map((entry) => entry.kind)
      expect(kinds.filter((entry) => entry === 'opened' || entry === 'resolved')).toEqual([
        'opened',
        'resolved',
      ])
    })

    test('a Sentry issue opens and is resolved under its issue', async () => {
      const project = await t.project()
      const source = await project.source('sentry')
      const issue = {
        id: '4411',
        title: 'TimeoutError',
        level: 'error',
        status: 'unresolved',
        project: { slug: 'shop', name: 'Shop' },
      }
      const headers = () => ({
        'sentry-hook-resource': 'issue',
        'sentry-hook-timestamp': String(Math.floor(clock.now().getTime() / 1000)),
      })
      const created = await source.send({ action: 'created', data: { issue } }, { headers: headers() })
      expect([created.outcome, created.incident?.severity]).toEqual(['opened', 'high'])
      clock.pass(MINUTE)
      const resolved = await source.send(
        { action: 'resolved', data: { issue: { ...issue, status: 'resolved' } } },
        { headers: headers() },
      )
      expect([resolved.outcome, resolved.incident?.id]).toEqual(['resolved', created.incident?.id])
      const { durationMs } = await project.incident(created.incident?.id)
      expect(durationMs).toBe(MINUTE)
    })

    test('Better Stack opens, acknowledges and resolves at its token address', async () => {
      const project = await t.project()
      const source = await project.source('betterstack')
      const incident = { id: '700', monitor: '31', startedAt: clock.at(-2 * MINUTE) }
      const opened = await source.send(betterStack('started', incident))
      const acknowledged = await source.send(
        betterStack('acknowledged', { ...incident, acknowledgedAt: clock.at(-MINUTE) }),
      )
      const resolved = await source.send(betterStack('resolved', { ...incident, resolvedAt: clock.at() }))
      expect([opened, acknowledged, resolved].map((answer) => answer.outcome)).toEqual([
        'opened',
        'acknowledged',
        'resolved',
      ])
      // An acknowledgement cannot be older than what is acknowledged was known.
      expect(await project.incident(opened.incident?.id)).toMatchObject({
        status: 'resolved',
        acknowledgedAt: clock.at(),
        startedAt: incident.startedAt,
        durationMs: 2 * MINUTE,
      })
      const [logged] = await project.requests()
      expect(logged?.path).toBe('/api/webhooks/betterstack/***')
    })

    test('a generic id fires, is refreshed and recovers; what comes after is the next stretch', async () => {
      const project = await t.project()
      const source = await project.source()
      const outcomes: string[] = []
      for (const action of ['trigger', 'trigger', 'resolve', 'resolve', 'trigger']) {
        outcomes.push((await source.send({ id: 'x', title: 'Disk full', action })).outcome)
        clock.pass(MINUTE)
      }
      expect(outcomes).toEqual(['opened', 'duplicate', 'resolved', 'duplicate', 'opened'])
      expect((await project.incidents()).map((incident) => incident.status)).toEqual(['resolved', 'open'])
    })

    test.each(adapterSlugs)('the test button of %s opens and resolves a drill', async (adapter) => {
      const project = await t.project()
      const source = await project.source(adapter)
      const { success, reference, incidentId, answers } = await t.admin.testSource(project.id, source.id)
      expect([success, reference]).toEqual([true, 'INC-001'])
      // What never says that it is over is resolved for it.
      const outcomes = adapter === 'runframe' ? ['opened'] : ['opened', 'resolved']
      expect(answers.map((answer) => answer.outcome)).toEqual(outcomes)
      expect(await project.incident(incidentId)).toMatchObject({ drill: true, status: 'resolved' })
      const again = await t.admin.testSource(project.id, source.id)
      expect(again.reference).toBe('INC-002')
    })

    test('a replay of a drill stays a drill', async () => {
      const project = await t.project()
      const source = await project.source()
      await t.admin.testSource(project.id, source.id)
      for (const request of await project.requests()) await t.admin.replayRequest(project.id, request.id, {})
      expect((await project.incidents()).map((incident) => incident.drill)).toEqual([true])
    })
  })

  describe('two monitors at once', () => {
    test('are told apart as the table of the rules says', async () => {
      const project = await t.project()
      const a = await project.source('alertmanager')
      const b = await project.source('alertmanager')
      const zero = clock.now().getTime()
      const at = (seconds: number) => new Date(zero + seconds * 1000).toISOString()
      const to = (seconds: number) => clock.pass(zero + seconds * 1000 - clock.now().getTime())
      const fire = (monitor: string, from: number) =>
        notification([{ fingerprint: monitor, startsAt: at(from) }], { groupKey: monitor })
      const over = (monitor: string, from: number, to: number) =>
        notification([{ fingerprint: monitor, startsAt: at(from), endsAt: at(to) }], { groupKey: monitor })

      const [first, second] = await Promise.all([a.send(fire('A', 0)), b.send(fire('B', 0.05))])
      expect([first.outcome, second.outcome].sort()).toEqual(['attached', 'opened'])
      const id = first.incident!.id
      expect(second.incident?.id).toBe(id)
      to(60)
      expect((await a.send(fire('A', 0))).outcome).toBe('duplicate')
      to(300)
      const recovered = await a.send(over('A', 0, 300))
      expect([recovered.outcome, recovered.stillFiring]).toEqual(['recovered', 1])
      to(310)
      // Another peer writes the same start in other letters, so this is no repeat of the same event.
      const peer = notification([{ fingerprint: 'A', startsAt: at(0).replace('Z', '+00:00') }])
      const stale = await a.send(peer)
      expect([stale.outcome, stale.events[0]?.rule]).toEqual(['stale', 'T2'])
      to(420)
      const resolved = await b.send(over('B', 0.05, 420))
      expect([resolved.outcome, resolved.incident?.id]).toEqual(['resolved', id])
      expect((await project.incident(id)).resolvedAt).toBe(at(420))
      to(500)
      const reopened = await a.send(fire('A', 500))
      expect([reopened.outcome, reopened.incident?.id]).toEqual(['reopened', id])
      to(560)
      expect((await a.send(over('A', 500, 560))).outcome).toBe('resolved')
      expect(await project.incident(id)).toMatchObject({ durationMs: 480_000, reopenCount: 1 })
      to(2000)
      const third = await a.send(fire('C', 2000))
      expect([third.outcome, third.incident?.reference]).toEqual(['opened', 'INC-002'])

      const timeline = await project.timeline(id)
      const transitions = timeline.filter((entry) => entry.sequence !== null)
      expect(transitions.map((entry) => [entry.sequence, entry.kind])).toEqual([
        [1, 'opened'],
        [2, 'resolved'],
        [3, 'reopened'],
        [4, 'resolved'],
      ])
    })
  })

  describe('grouping', () => {
    const two = (startsAt: string) =>
      notification([
        { fingerprint: 'one', startsAt, labels: { service: 'shop', env: 'live' } },
        { fingerprint: 'two', startsAt, labels: { service: 'shop', env: 'test' } },
        { fingerprint: 'three', startsAt, labels: { service: 'shop', env: 'live' } },
        { fingerprint: 'four', startsAt },
      ])

    test('by project, everything meets', async () => {
      const project = await t.project()
      await (await project.source('alertmanager')).send(two(clock.at()))
      expect((await project.incidents()).map((incident) => incident.signalCount)).toEqual([4])
    })

    test('by signal, set on the source, every alert is its own incident', async () => {
      const project = await t.project()
      const source = await project.source('alertmanager', { settings: { grouping: 'signal' } })
      await source.send(two(clock.at()))
      expect(await project.incidents()).toHaveLength(4)
    })

    test('by key, set on the project, equal labels meet and an alert without them is alone', async () => {
      const project = await t.project({ policy: { grouping: 'key', groupBy: ['service', 'env'] } })
      await (await project.source('alertmanager')).send(two(clock.at()))
      const incidents = await project.incidents()
      expect(incidents.map((incident) => [incident.title, incident.signalCount])).toEqual([
        ['one', 2],
        ['two', 1],
        ['four', 1],
      ])
    })

    test('the source goes before the project, the project before the adapter (M2)', async () => {
      const project = await t.project({ policy: { grouping: 'signal' } })
      const plain = await project.source('alertmanager')
      const special = await project.source('alertmanager', { settings: { grouping: 'project' } })
      const effective = async (id: string) =>
        (await t.admin.getSource(project.id, id)).source.effective.grouping
      expect([await effective(plain.id), await effective(special.id)]).toEqual(['signal', 'project'])
      await special.send(two(clock.at()))
      expect(await project.incidents()).toHaveLength(1)
      await plain.send(two(clock.at(1)))
      expect(await project.incidents()).toHaveLength(5)
    })

    test('the literal preset is what the seeds say', async () => {
      const project = await t.project({ policy: { preset: 'literal' } })
      const source = await project.source()
      expect((await t.admin.getSource(project.id, source.id)).source.effective).toEqual({
        grouping: 'project',
        groupBy: [],
        reopenWindowMinutes: 0,
        resolveScope: 'incident',
        strictExternalId: true,
      })
      const opened = await source.send({ id: 'a', title: 'A' })
      clock.pass(30 * DAY)
      // Attach window none: for ever.
      expect((await source.send({ id: 'b', title: 'B' })).incident?.id).toBe(opened.incident?.id)
      // Any recovery resolves the current incident whole.
      expect((await source.send({ id: 'a', action: 'resolve' })).outcome).toBe('resolved')
      expect((await project.incident(opened.incident?.id)).signals.map((signal) => signal.status)).toEqual([
        'recovered',
        'recovered',
      ])
      // Strict ids: a repeat is a repeat for ever.
      expect((await source.send({ id: 'a', title: 'A' })).outcome).toBe('duplicate')
    })

    test('an incident that reopens under an old key leaves the current one of that key alone', async () => {
      const project = await t.project({ policy: { grouping: 'project', reopenWindowMinutes: 60 } })
      const source = await project.source('alertmanager')
      const fire = (fingerprint: string) => notification([{ fingerprint, startsAt: clock.at() }])
      const over = (fingerprint: string, startsAt: string) =>
        notification([{ fingerprint, startsAt, endsAt: clock.at() }])
      const startsAt = clock.at()
      const first = await source.send(fire('a'))
      clock.pass(MINUTE)
      await source.send(over('a', startsAt))
      const second = await source.send(fire('b'))
      expect(second.outcome).toBe('opened')
      await t.admin.updateProject(project.id, { policy: { grouping: 'signal' } })
      clock.pass(MINUTE)
      const again = await source.send(fire('a'))
      expect([again.outcome, again.incident?.id]).toEqual(['reopened', first.incident?.id])
      expect((await project.incidents()).map((incident) => incident.status)).toEqual(['open', 'open'])
    })
  })

  describe('recoveries', () => {
    test('a resolved group ends the alerts it no longer lists, known from the database (R2)', async () => {
      const project = await t.project()
      const source = await project.source('alertmanager')
      const startsAt = clock.at()
      const groupKey = '{}:{alertname="x"}'
      const alerts = ['u1', 'u2', 'u3'].map((fingerprint) => ({ fingerprint, startsAt }))
      await source.send(notification(alerts, { groupKey }))
      await source.send(notification([{ fingerprint: 'other', startsAt }], { groupKey: 'another' }))
      await t.restart()
      clock.pass(MINUTE)
      const endsAt = clock.at()
      const partial = notification([{ ...alerts[0]!, endsAt }], { groupKey, truncatedAlerts: 2 })
      expect((await source.send(partial)).stillFiring).toBe(3)
      const whole = await source.send(notification([{ ...alerts[1]!, endsAt }], { groupKey }))
      expect([whole.outcome, whole.stillFiring]).toEqual(['recovered', 1])
      const [incident] = await project.incidents()
      expect(incident?.signals.map((signal) => [signal.key, signal.status]).sort()).toEqual([
        ['other', 'firing'],
        ['u1', 'recovered'],
        ['u2', 'recovered'],
        ['u3', 'recovered'],
      ])
      expect(incident?.signals.find((signal) => signal.key === 'u3')?.recoveredAt).toBe(endsAt)
      expect((await project.timeline(incident!.id)).filter((entry) => entry.kind === 'partial')).toHaveLength(
        1,
      )
    })

    test('an unknown id ends the one alert that came without an id (R3)', async () => {
      const project = await t.project()
      const source = await project.source()
      await source.send({ title: 'Backup failed' })
      await t.restart()
      expect((await source.send({ id: 'whatever', action: 'resolve' })).outcome).toBe('resolved')
    })

    test('an unknown id with ids firing changes nothing and names them (R3)', async () => {
      const project = await t.project()
      const source = await project.source()
      await source.send({ id: 'known', title: 'Backup failed' })
      const answer = await source.send({ id: 'unknown', action: 'resolve' })
      expect([answer.outcome, answer.incident]).toEqual(['unmatched', null])
      expect(answer.hint).toMatch(/known.*resolveScope/)
      expect((await project.incidents()).map((incident) => incident.status)).toEqual(['open'])
    })

    test('a title ends its own alert, whatever else fires (R3)', async () => {
      const project = await t.project()
      const source = await project.source()
      await source.send({ id: '1', title: 'Backup failed' })
      await source.send({ id: '2', title: 'Disk full' })
      await t.restart()
      const answer = await source.send({ title: 'BACKUP FAILED', action: 'resolve' })
      expect([answer.outcome, answer.stillFiring]).toEqual(['recovered', 1])
      const [incident] = await project.incidents()
      expect(incident?.signals.map((signal) => [signal.key, signal.status])).toEqual([
        ['2', 'firing'],
        ['1', 'recovered'],
      ])
    })

    test('without id and with an unknown title the only current incident ends, with all members (R3)', async () => {
      const project = await t.project({ policy: { grouping: 'signal' } })
      const source = await project.source()
      await source.send({ id: '1', title: 'Backup failed' })
      await t.restart()
      expect((await source.send({ title: 'All good', action: 'resolve' })).outcome).toBe('resolved')
      await source.send({ id: '2', title: 'Disk full' })
      await source.send({ id: '3', title: 'Disk slow' })
      expect((await source.send({ title: 'All good again', action: 'resolve' })).outcome).toBe('unmatched')
    })

    test('whether one incident is current does not depend on how many another project has (R3)', async () => {
      const crowded = await t.project({ policy: { grouping: 'signal' } })
      const one = await t.project()
      const crowd = await crowded.source()
      const source = await one.source()
      for (let i = 0; i < 101; i++) await crowd.send({ id: `c${i}`, title: `Crowd ${i}` })
      await source.send({ id: 'x', title: 'Disk full' })
      const [, answer] = await Promise.all([
        crowd.send({ title: 'Over', action: 'resolve' }),
        source.send({ title: 'Over', action: 'resolve' }),
      ])
      expect(answer.outcome).toBe('resolved')
    })

    test('a recovery that comes first waits for its alert (R5)', async () => {
      const project = await t.project()
      const source = await project.source('alertmanager')
      const startsAt = clock.at(-MINUTE)
      const endsAt = clock.at()
      const orphan = await source.send(notification([{ fingerprint: 'o', startsAt, endsAt }]))
      expect([orphan.outcome, orphan.incident]).toEqual(['unmatched', null])
      await t.restart()
      clock.pass(10_000)
      const fire = await source.send(notification([{ fingerprint: 'o', startsAt }]))
      expect([fire.outcome, fire.incident?.status]).toEqual(['late', 'resolved'])
      const { request } = await t.admin.getRequest(project.id, orphan.requestId)
      expect(request.events[0]).toMatchObject({ outcome: 'recovered', incidentId: fire.incident?.id })
      const incident = await project.incident(fire.incident?.id)
      expect(incident).toMatchObject({ startedAt: startsAt, resolvedAt: endsAt, durationMs: MINUTE })
      const timeline = await project.timeline(incident.id)
      expect(timeline.flatMap(({ sequence, kind }) => (sequence === null ? [] : [kind]))).toEqual([
        'opened',
        'resolved',
      ])
      // Both are told of: the recovery where its alert is.
      const told = timeline.filter(({ kind }) => kind === 'context').flatMap(({ eventIds }) => eventIds)
      expect(told.toSorted()).toEqual((await project.events(incident.id)).map(({ id }) => id).toSorted())
    })

    test('an older, unseen episode is late and changes no state (T7)', async () => {
      const project = await t.project()
      const source = await project.source('alertmanager')
      const early = clock.at(-HOUR)
      const opened = await source.send(notification([{ fingerprint: 't7', startsAt: clock.at(-MINUTE) }]))
      await t.restart()
      const late = await source.send(notification([{ fingerprint: 't7', startsAt: early }]))
      expect([late.outcome, late.events[0]?.rule, late.incident?.id]).toEqual([
        'late',
        'T7',
        opened.incident?.id,
      ])
      expect(await project.incident(opened.incident?.id)).toMatchObject({ status: 'open', firingCount: 1 })
    })

    test('a timed alert without episode that is older than the last recovery is late (T3)', async () => {
      const project = await t.project()
      const source = await project.source()
      const at = (minutes: number) => new Date(Date.parse(clock.at()) + minutes * MINUTE).toISOString()
      await source.send({ id: 'x', title: 'X', time: at(-30) })
      await source.send({ id: 'x', action: 'resolve', time: at(-10) })
      await t.restart()
      const late = await source.send({ id: 'x', title: 'X', time: at(-20) })
      expect([late.outcome, late.events[0]?.rule]).toEqual(['late', 'T3'])
      expect((await project.incidents()).map((incident) => incident.status)).toEqual(['resolved'])
    })

    test('a grace delays the resolution until it is due', async () => {
      const project = await t.project({ policy: { resolveGraceSeconds: 60 } })
      const source = await project.source()
      const { incident } = await source.send({ id: 'x', title: 'X' })
      clock.pass(MINUTE)
      const recoveredAt = clock.at()
      const recovered = await source.send({ id: 'x', action: 'resolve' })
      expect([recovered.outcome, recovered.incident?.status]).toEqual(['recovered', 'open'])
      clock.pass(59_999)
      await t.due()
      expect((await project.incident(incident?.id)).status).toBe('open')
      clock.pass(1)
      await t.due()
      await t.due()
      expect(await project.incident(incident?.id)).toMatchObject({
        status: 'resolved',
        resolvedAt: recoveredAt,
        durationMs: MINUTE,
      })
      const timeline = await project.timeline(incident!.id)
      expect(timeline.filter((entry) => entry.kind === 'resolved')).toMatchObject([
        { actor: { type: 'system', name: 'Tocsin' } },
      ])
    })

    test('an alert that comes back within the grace keeps the incident open', async () => {
      const project = await t.project({ policy: { resolveGraceSeconds: 60 } })
      const source = await project.source()
      const { incident } = await source.send({ id: 'x', title: 'X' })
      await source.send({ id: 'x', action: 'resolve' })
      clock.pass(30_000)
      await source.send({ id: 'x', title: 'X' })
      clock.pass(HOUR)
      await t.due()
      expect((await project.incident(incident?.id)).status).toBe('open')
    })
  })

  describe('repeats', () => {
    test('an Idempotency-Key is remembered for 72 hours (D1)', async () => {
      const project = await t.project()
      const source = await project.source()
      const headers = { 'idempotency-key': 'delivery-1' }
      expect((await source.send({ title: 'One' }, { headers })).outcome).toBe('opened')
      await t.restart()
      clock.pass(72 * HOUR - 1)
      const repeat = await source.send({ title: 'Another' }, { headers })
      expect([repeat.outcome, repeat.duplicate, repeat.events[0]?.rule]).toEqual(['duplicate', true, 'D1'])
      clock.pass(72 * HOUR + 1)
      expect((await source.send({ title: 'Third' }, { headers })).outcome).toBe('opened')
      const other = await project.source()
      expect((await other.send({ title: 'Fourth' }, { headers })).outcome).toBe('attached')
    })

    test('an event is known again after a restart (D2)', async () => {
      const project = await t.project()
      const source = await project.source('betterstack')
      const incident = { id: 'd2', monitor: 'd2', startedAt: clock.at() }
      const { incident: opened } = await source.send(betterStack('started', incident))
      await t.restart()
      clock.pass(1_000)
      const repeat = await source.send(betterStack('started', incident))
      expect([repeat.outcome, repeat.incident?.id]).toEqual(['duplicate', opened?.id])
      const events = await project.events(opened!.id)
      expect(events.map((event) => [event.duplicateCount, event.lastSeenAt])).toEqual([[1, clock.at()]])
      expect(await project.timeline(opened!.id)).toHaveLength(2)
      expect((await project.requests()).map((request) => request.outcome)).toEqual(['opened', 'duplicate'])
    })

    test('a repeated notification of a group is silent whatever its annotations (D4)', async () => {
      const project = await t.project()
      const source = await project.source('alertmanager')
      const body = notification([{ fingerprint: 'd4', startsAt: clock.at() }])
      await source.send(body)
      await t.restart()
      clock.pass(4 * HOUR)
      body.alerts[0]!.annotations = { value: '97 %' } as never
      const repeat = await source.send(body)
      expect([repeat.outcome, repeat.events[0]?.rule]).toEqual(['duplicate', 'D4'])
    })

    test('a bare title within ten seconds is one, later a refresh with a context entry (D5)', async () => {
      const project = await t.project()
      const source = await project.source()
      const { incident } = await source.send({ title: 'Bare' })
      clock.pass(10_000)
      expect((await source.send({ title: 'Bare' })).events[0]).toMatchObject({
        outcome: 'duplicate',
        rule: 'D5',
      })
      clock.pass(10_001)
      expect((await source.send({ title: 'Bare' })).outcome).toBe('refreshed')
      expect((await project.timeline(incident!.id)).map((entry) => entry.kind)).toEqual([
        'opened',
        'context',
        'context',
      ])
    })

    test('strict ids make any repeat of an id and kind one, for ever', async () => {
      const project = await t.project()
      const source = await project.source('generic', { settings: { strictExternalId: true } })
      const outcomes: string[] = []
      for (const action of ['trigger', 'resolve', 'trigger', 'resolve']) {
        outcomes.push((await source.send({ id: 's', title: 'S', action })).outcome)
        clock.pass(30 * DAY)
      }
      expect(outcomes).toEqual(['opened', 'resolved', 'duplicate', 'duplicate'])
    })
  })

  test('drills and real alerts never meet (M6)', async () => {
    const project = await t.project()
    const source = await project.source()
    const real = await source.send({ id: 'x', title: 'X' })
    const drill = await source.send({ id: 'x', title: 'X', drill: true })
    expect([drill.outcome, drill.incident?.id === real.incident?.id]).toEqual(['opened', false])
    await source.send({ id: 'x', action: 'resolve', drill: true })
    expect((await project.incidents()).map(({ drill, status }) => [drill, status])).toEqual([
      [false, 'open'],
      [true, 'resolved'],
    ])
    const { incidents } = await t.admin.listIncidents(project.id, { drill: true })
    expect(incidents.map((incident) => incident.id)).toEqual([drill.incident?.id])
  })

  test('the attach window ends a day after the last alert; the old incident stays open', async () => {
    const project = await t.project()
    const source = await project.source()
    const first = await source.send({ id: 'a', title: 'A' })
    clock.pass(DAY)
    expect((await source.send({ id: 'b', title: 'B' })).incident?.id).toBe(first.incident?.id)
    clock.pass(DAY + 1)
    const next = await source.send({ id: 'c', title: 'C' })
    expect([next.outcome, next.incident?.id === first.incident?.id]).toEqual(['opened', false])
    expect((await project.incidents()).map((incident) => incident.status)).toEqual(['open', 'open'])
    // What was in the old one stays there (M1).
    const again = await source.send({ id: 'a', action: 'resolve' })
    expect(again.incident?.id).toBe(first.incident?.id)
  })

  describe('coming back', () => {
    /** Fires and recovers, and answers what comes so long after. */
    async function comingBack(ms: number, adapter: 'alertmanager' | 'generic', sameEpisode = false) {
      const project = await t.project()
      const source = await project.source(adapter)
      const startsAt = clock.at()
      const fire = (at: string) =>
        adapter === 'generic'
          ? { id: 'x', title: 'X' }
          : notification([{ fingerprint: 'x', startsAt: at }], { groupKey: clock.at() })
      const first = await source.send(fire(startsAt))
      clock.pass(MINUTE)
      await source.send(
        adapter === 'generic'
          ? { id: 'x', action: 'resolve' }
          : notification([{ fingerprint: 'x', startsAt, endsAt: clock.at() }], { groupKey: 'over' }),
      )
      await t.restart()
      clock.pass(ms - 1)
      const again = await source.send(fire(sameEpisode ? startsAt.replace('Z', '+00:00') : clock.at()))
      return [again.outcome, again.incident?.id === first.incident?.id]
    }

    test('within five minutes of the resolution, the same incident reopens (O1)', async () => {
      expect(await comingBack(5 * MINUTE, 'alertmanager')).toEqual(['reopened', true])
    })

    test('later, a new one opens', async () => {
      expect(await comingBack(5 * MINUTE + 1, 'alertmanager')).toEqual(['opened', false])
    })

    test('an alert sent by hand always opens a new one', async () => {
      expect(await comingBack(1000, 'generic')).toEqual(['opened', false])
    })

    test('the same episode still sent is stale for a quarter of an hour, then fires again (T2)', async () => {
      expect(await comingBack(15 * MINUTE - 1, 'alertmanager', true)).toEqual(['stale', true])
      expect(await comingBack(15 * MINUTE + 1, 'alertmanager', true)).toEqual(['opened', false])
    })
  })

  describe('people', () => {
    test('resolve what a script reports: quiet for five minutes unless it recovers in between (H2)', async () => {
      const project = await t.project()
      const source = await project.source()
      const fire = async () => (await source.send({ id: 'x', title: 'X' })).outcome
      const resolve = async () => {
        const [incident] = (await project.incidents()).slice(-1)
        await t.admin.resolveIncident(project.id, incident!.id, {})
      }
      expect(await fire()).toBe('opened')
      await resolve()
      clock.pass(5 * MINUTE - 1)
      expect(['refreshed', 'duplicate']).toContain(await fire())
      clock.pass(1)
      expect(await fire()).toBe('opened')
      await resolve()
      await t.restart()
      expect((await source.send({ id: 'x', action: 'resolve' })).outcome).toBe('recovered')
      expect(await fire()).toBe('opened')
      expect((await project.incidents()).map((incident) => incident.status)).toEqual([
        'resolved',
        'resolved',
        'open',
      ])
    })

    test('resolve by hand ends a grace that runs', async () => {
      const project = await t.project({ policy: { resolveGraceSeconds: 60 } })
      const source = await project.source()
      const { incident } = await source.send({ id: 'x', title: 'X' })
      await source.send({ id: 'x', action: 'resolve' })
      await t.admin.resolveIncident(project.id, incident!.id, {})
      clock.pass(HOUR)
      await t.due()
      const timeline = await project.timeline(incident!.id)
      expect(timeline.filter((entry) => entry.kind === 'resolved')).toMatchObject([
        { actor: { name: 'admin' } },
      ])
    })

    test('resolve with alerts firing, which then open nothing until the sender recovers (H1, H2)', async () => {
      const project = await t.project()
      const source = await project.source('alertmanager')
      const startsAt = clock.at()
      const body = () => notification([{ fingerprint: 'h', startsAt }], { groupKey: clock.at() })
      const { incident } = await source.send(body())
      clock.pass(MINUTE)
      const resolved = await t.admin.resolveIncident(project.id, incident!.reference, { note: 'Known.' })
      expect([resolved.stillFiring, resolved.incident.status]).toEqual([1, 'resolved'])
      expect(resolved.incident.signals[0]?.status).toBe('manual')
      await t.restart()
      clock.pass(HOUR)
      const refreshed = await source.send(body())
      expect(refreshed.outcome).not.toBe('opened')
      const recovered = await source.send(
        notification([{ fingerprint: 'h', startsAt, endsAt: clock.at() }], { groupKey: 'h' }),
      )
      expect(recovered.outcome).toBe('recovered')
      clock.pass(MINUTE)
      const next = await source.send(notification([{ fingerprint: 'h', startsAt: clock.at() }]))
      expect([next.outcome, next.incident?.id === incident?.id]).toEqual(['opened', false])
    })

    test('reopen what they resolved, and what still fires fires again (H4)', async () => {
      const project = await t.project()
      const source = await project.source('alertmanager')
      const startsAt = clock.at()
      const { incident } = await source.send(
        notification([
          { fingerprint: 'h4a', startsAt },
          { fingerprint: 'h4b', startsAt },
        ]),
      )
      await t.admin.resolveIncident(project.id, incident!.id, {})
      clock.pass(MINUTE)
      await source.send(
        notification([{ fingerprint: 'h4b', startsAt, endsAt: clock.at() }], { status: 'firing' }),
      )
      const reopened = await t.admin.reopenIncident(project.id, incident!.id, {})
      expect(reopened.incident).toMatchObject({ status: 'open', firingCount: 1, reopenCount: 1 })
      expect(reopened.incident.signals.map((signal) => [signal.key, signal.status])).toEqual([
        ['h4a', 'firing'],
        ['h4b', 'manual'],
      ])
      expect((await t.admin.reopenIncident(project.id, incident!.id, {})).incident.reopenCount).toBe(1)
      const over = await source.send(notification([{ fingerprint: 'h4a', startsAt, endsAt: clock.at() }]))
      expect(over.outcome).toBe('resolved')
    })

    test('reopen beside a current incident, which stays the current one (H4)', async () => {
      const project = await t.project()
      const source = await project.source()
      const first = await source.send({ id: 'a', title: 'A' })
      await t.admin.resolveIncident(project.id, first.incident!.id, {})
      const second = await source.send({ id: 'b', title: 'B' })
      await t.admin.reopenIncident(project.id, first.incident!.id, {})
      const third = await source.send({ id: 'c', title: 'C' })
      expect(third.incident?.id).toBe(second.incident?.id)
      expect((await project.incidents()).map((incident) => incident.status)).toEqual(['open', 'open'])
    })

    test('open an incident by hand, which takes alerts and resolves only by hand (H5)', async () => {
      const project = await t.project()
      const source = await project.source()
      const { incident } = await t.admin.createIncident(project.id, {
        title: 'Phones ring',
        severity: 'high',
        description: 'Customers call.',
        services: ['phones'],
        labels: { team: 'support' },
      })
      expect(incident).toMatchObject({
        reference: 'INC-001',
        status: 'open',
        severity: 'high',
        services: ['phones'],
        labels: { team: 'support' },
        signals: [],
      })
      const attached = await source.send({ id: 'x', title: 'X' })
      expect([attached.outcome, attached.incident?.id]).toEqual(['attached', incident.id])
      await source.send({ id: 'x', action: 'resolve' })
      expect((await project.incident(incident.id)).status).toBe('open')
      const beside = await t.admin.createIncident(project.id, { title: 'Second' })
      expect((await source.send({ id: 'y', title: 'Y' })).incident?.id).toBe(incident.id)
      await t.admin.resolveIncident(project.id, beside.incident.id, {})
      await t.admin.resolveIncident(project.id, incident.id, {})
      expect((await project.incidents()).map(({ status }) => status)).toEqual(['resolved', 'resolved'])
    })

    test('acknowledge once, by reference; notes stand in the timeline', async () => {
      const project = await t.project()
      const source = await project.source()
      const { incident } = await source.send({ id: 'x', title: 'X' })
      clock.pass(MINUTE)
      const at = clock.at()
      await t.admin.acknowledgeIncident(project.id, 'inc-1', { note: 'On it.' })
      clock.pass(MINUTE)
      const again = await t.admin.acknowledgeIncident(project.id, incident!.id, {})
      expect(again.incident).toMatchObject({ status: 'acknowledged', acknowledgedAt: at })
      const { entry } = await t.admin.addNote(project.id, incident!.id, { text: 'Disk ordered.' })
      expect(entry).toMatchObject({ kind: 'note', text: 'Disk ordered.', sequence: null })
      expect((await project.timeline(incident!.id)).map(({ kind, text }) => [kind, text])).toEqual([
        ['opened', 'Opened by Generic webhook: “X”.'],
        ['context', 'Generic webhook: “X” firing, severity medium.'],
        ['acknowledged', 'Acknowledged by admin.'],
        ['note', 'On it.'],
        ['note', 'Disk ordered.'],
      ])
    })
  })

  describe('what it refuses', () => {
    test('a wrong secret, an unknown project and a wrong token look the same', async () => {
      const project = await t.project()
      const source = await project.source()
      const token = await project.source('betterstack')
      const stranger = await refusal(source.send({ title: 'X' }, { secret: 'not the secret' }))
      const elsewhere = await refusal(token.send({ title: 'X' }, { secret: 'not-the-token-of-this-source' }))
      expect([stranger.code, stranger.message]).toEqual([elsewhere.code, elsewhere.message])
      expect(stranger.code).toBe('unauthorized')
    })

    test('addresses outside the list of the source', async () => {
      const project = await t.project()
      const source = await project.source('generic', {
        settings: { cidrs: ['198.51.100.0/24', '2001:db8::/32'] },
      })
      expect((await refusal(source.send({ title: 'X' }, { ip: '203.0.113.7' }))).code).toBe('ip_not_allowed')
      expect((await source.send({ title: 'X' }, { ip: '198.51.100.9' })).outcome).toBe('opened')
      expect((await source.send({ title: 'Y' }, { ip: '::ffff:198.51.100.9' })).outcome).toBe('attached')
      expect((await source.send({ title: 'Z' }, { ip: '2001:db8::9' })).outcome).toBe('attached')
    })

    test('a key with events:write opens the generic source of its project only', async () => {
      const project = await t.project()
      const other = await t.project()
      const source = await project.source()
      const key = async (id: string, scope: 'events:write' | 'incidents:write') =>
        (await t.admin.createKey(id, { name: 'k', scopes: [scope] })).secret
      const send = (secret: string) =>
        source.send({ title: 'X' }, { secret: 'wrong', headers: { authorization: `Bearer ${secret}` } })
      expect((await send(await key(project.id, 'events:write'))).outcome).toBe('opened')
      expect((await refusal(send(await key(project.id, 'incidents:write')))).code).toBe('unauthorized')
      expect((await refusal(send(await key(other.id, 'events:write')))).code).toBe('unauthorized')
    })
  })
})
