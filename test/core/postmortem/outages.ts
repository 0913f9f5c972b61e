import { createHmac } from 'node:crypto'
import type { Tocsin } from '../../../core/tocsin.ts'
import { MINUTE, type TestProject, type TestSource, type TestTocsin } from '../open-test-tocsin.ts'

/**
 * Three outages as their tools tell them: bodies and signatures are those of the senders, the clock is the test's.
 * Each answers the incident its post-mortem is about.
 */

const SECOND = 1000

/** A payment provider times out after a release; somebody rolls back. */
export async function sentryRegression(t: TestTocsin): Promise<{ project: TestProject; incident: string }> {
  const project = await t.project()
  const sentry = await project.source('sentry', { name: 'Sentry' })
  const mia = await person(project, 'Mia Berg')
  const firstSeen = t.clock.at(-40 * SECOND)
  const issue = (action: 'created' | 'resolved', count: string, userCount: number) => ({
    action,
    actor: { type: 'application', id: 'sentry', name: 'Sentry' },
    data: {
      issue: {
        id: '4711',
        shortId: 'SHOP-3F',
        title: 'ConnectionTimeout: payments.example.com did not answer',
        culprit: 'shop.payments in charge',
        level: 'error',
        substatus: 'regressed',
        platform: 'python',
        count,
        userCount,
        firstSeen,
        lastSeen: t.clock.at(-2 * SECOND),
        web_url: 'https://example.sentry.io/issues/4711/',
        project: { id: '88', slug: 'shop', name: 'Shop', platform: 'python' },
      },
      ...(action === 'resolved' && { resolution_type: 'in_release' }),
    },
  })

  const alert = {
    action: 'triggered',
    actor: { type: 'application', id: 'sentry', name: 'Sentry' },
    data: {
      event: {
        event_id: 'e4874d664c3540c1a32eab185f12c5ab',
        issue_id: '4711',
        title: 'ConnectionTimeout: payments.example.com did not answer',
        culprit: 'shop.payments in charge',
        level: 'error',
        platform: 'python',
        environment: 'production',
        release: 'shop@1.4.2',
        datetime: firstSeen,
        web_url: 'https://example.sentry.io/issues/4711/events/e4874d664c3540c1a32eab185f12c5ab/',
        tags: [
          ['level', 'error'],
          ['service', 'checkout'],
          ['server_name', 'web-7'],
        ],
        exception: {
          values: [
            {
              type: 'ConnectionTimeout',
              stacktrace: {
                frames: [
                  { filename: 'shop/app.py', lineno: 3, function: 'main' },
                  { filename: 'shop/checkout.py', lineno: 120, function: 'pay' },
                  { filename: 'shop/payments.py', lineno: 48, function: 'charge' },
                ],
              },
            },
          ],
        },
      },
      triggered_rule: 'Checkout errors',
    },
  }

  await sendSentry(sentry, 'event_alert', alert)
  t.clock.pass(95 * SECOND)
  await mia.acknowledgeIncident(project.id, 'INC-001', {
    note: 'Started with release 1.4.2. Rolling back to 1.4.1.',
  })
  t.clock.pass(11 * MINUTE)
  await mia.addNote(project.id, 'INC-001', {
    text: 'Rolled back. Errors have stopped; the new client has a time-out of 2 s where the old one had 10 s.',
  })
  t.clock.pass(6 * MINUTE)
  await sendSentry(sentry, 'issue', issue('resolved', '212', 64))
  return { project, incident: 'INC-001' }
}

/** Two monitors of one service, the second a consequence of the first; it has happened before. */
export async function grafanaThreshold(t: TestTocsin): Promise<{ project: TestProject; incident: string }> {
  const project = await t.project()
  const grafana = await project.source('grafana', { name: 'Grafana' })
  const jonas = await person(project, 'Jonas Weber')
  const pool = (values: number, since: string, endsAt?: string) =>
    alert(
      'Database connections above 90 %',
      'warning',
      POOL,
      { A: values, C: Number(values > 90) },
      since,
      endsAt,
    )
  const latency = (values: number, since: string, endsAt?: string) =>
    alert(
      'Checkout latency above 2 s',
      'critical',
      LATENCY,
      { B: values, C: Number(values > 2) },
      since,
      endsAt,
    )

  // Nine days before.
  const before = t.clock.at()
  await sendGrafana(grafana, [pool(93, before), latency(2.6, before)])
  t.clock.pass(14 * MINUTE)
  await sendGrafana(grafana, [pool(60, before, t.clock.at()), latency(0.4, before, t.clock.at())])
  t.clock.pass(9 * 24 * 60 * MINUTE)

  const poolAt = t.clock.at()
  t.clock.pass(30 * SECOND)
  await sendGrafana(grafana, [pool(94.2, poolAt)])
  t.clock.pass(90 * SECOND)
  const latencyAt = t.clock.at()
  t.clock.pass(30 * SECOND)
  await sendGrafana(grafana, [pool(98.7, poolAt), latency(6.1, latencyAt)])
  t.clock.pass(4 * MINUTE)
  await jonas.acknowledgeIncident(project.id, 'INC-002', {})
  t.clock.pass(13 * MINUTE)
  await jonas.addNote(project.id, 'INC-002', {
    text: 'A report held 40 connections open. Stopped it and raised the pool from 50 to 80.',
  })
  const latencyEnd = t.clock.at(20 * SECOND)
  t.clock.pass(50 * SECOND)
  await sendGrafana(grafana, [pool(91, poolAt), latency(0.5, latencyAt, latencyEnd)])
  t.clock.pass(5 * MINUTE)
  await sendGrafana(grafana, [pool(55, poolAt, t.clock.at(-15 * SECOND))])
  return { project, incident: 'INC-002' }
}

/** A monitor that goes up and down at night; nobody looks, and in the end it stays up. */
export async function flappingMonitor(t: TestTocsin): Promise<{ project: TestProject; incident: string }> {
  const project = await t.project()
  const betterStack = await project.source('betterstack', { name: 'Better Stack' })
  let id = 900
  const down = async (forMs: number) => {
    id += 1
    const startedAt = t.clock.at(-35 * SECOND)
    await betterStack.send(betterStackBody('started', id, startedAt, null))
    t.clock.pass(forMs)
    await betterStack.send(betterStackBody('resolved', id, startedAt, t.clock.at(-5 * SECOND)))
  }
  await down(4 * MINUTE)
  t.clock.pass(3 * MINUTE)
  await down(2 * MINUTE)
  t.clock.pass(2 * MINUTE)
  await down(7 * MINUTE)
  t.clock.pass(4 * MINUTE)
  await down(3 * MINUTE)
  return { project, incident: 'INC-001' }
}

export const OUTAGES = {
  'sentry-regression': sentryRegression,
  'grafana-threshold': grafanaThreshold,
  'better-stack-flapping': flappingMonitor,
}

async function person(project: TestProject, name: string): Promise<Tocsin> {
  const { admin, tocsin } = project.test
  const { secret } = await admin.createKey(project.id, {
    name,
    scopes: ['incidents:read', 'incidents:write'],
  })
  return tocsin.actingAs((await tocsin.authenticateKey(secret))!)
}

// ---- what the senders send ----

function sendSentry(source: TestSource, resource: string, body: unknown) {
  const seconds = Math.floor(source.project.test.clock.now().getTime() / 1000)
  return source.send(body, {
    headers: { 'sentry-hook-resource': resource, 'sentry-hook-timestamp': String(seconds) },
  })
}

/** Written by whoever made the rule. */
const POOL = {
  summary: 'The pool of database connections is nearly used up, in percent',
  threshold: '90',
}
const LATENCY = { summary: 'The slowest checkouts keep customers waiting, in seconds', threshold: '2' }

type GrafanaAlert = ReturnType<typeof alert>

function alert(
  name: string,
  severity: string,
  annotations: Record<string, string>,
  values: Record<string, number>,
  startsAt: string,
  endsAt?: string,
) {
  return {
    status: endsAt === undefined ? 'firing' : 'resolved',
    labels: { alertname: name, severity, service: 'checkout', grafana_folder: 'Shop' },
    annotations,
    startsAt,
    endsAt: endsAt ?? '0001-01-01T00:00:00Z',
    generatorURL: 'https://grafana.example.com/alerting/grafana/shop/view?orgId=1',
    fingerprint: Buffer.from(name).toString('hex').slice(0, 16),
    values,
    valueString: Object.entries(values)
      .map(([query, value]) => `[ var='${query}' labels={service=checkout} value=${value} ]`)
      .join(', '),
  }
}

function sendGrafana(source: TestSource, alerts: GrafanaAlert[]) {
  const status = alerts.some((one) => one.status === 'firing') ? 'firing' : 'resolved'
  const body = JSON.stringify({
    receiver: 'tocsin',
    status,
    orgId: 1,
    groupKey: '{}/{service="checkout"}:{grafana_folder="Shop"}',
    groupLabels: { grafana_folder: 'Shop' },
    commonLabels: { service: 'checkout' },
    commonAnnotations: {},
    externalURL: 'https://grafana.example.com/',
    version: '1',
    truncatedAlerts: 0,
    alerts,
  })
  return source.send(body, {
    headers: {
      'x-grafana-alerting-signature': createHmac('sha256', source.secret).update(body).digest('hex'),
    },
  })
}

function betterStackBody(
  event: 'started' | 'resolved',
  id: number,
  startedAt: string,
  resolvedAt: string | null,
) {
  return {
    event,
    data: {
      id: String(id),
      type: 'incident',
      attributes: {
        name: 'shop.example.com/checkout',
        url: 'https://shop.example.com/checkout',
        cause: 'Status 502',
        started_at: startedAt,
        acknowledged_at: null,
        resolved_at: resolvedAt,
      },
      relationships: { monitor: { data: { id: '2134', type: 'monitor' } } },
    },
  }
}
