import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { sentry } from '../../../core/adapters/sentry.ts'
import { hookRequest, noSettings, payload, rawPayload } from './payload.ts'

const SENT_AT = '2026-02-02T02:15:00.000Z'

/** As Sentry sends it: the resource is in a header, the time of sending too. */
function parse(name: string, resource?: string, settings = noSettings) {
  const headers = {
    ...(resource && { 'Sentry-Hook-Resource': resource }),
    'Sentry-Hook-Timestamp': String(Date.parse(SENT_AT) / 1000),
  }
  const request = hookRequest({ headers, body: rawPayload(`sentry/${name}`) })
  const { events, ...rest } = sentry.parse(payload(`sentry/${name}`), request, settings)
  expect(events).toHaveLength(1)
  return { event: events[0]!, ...rest }
}

describe('an issue', () => {
  test('opens when it is created', () => {
    const { event, delivery, group, filtered } = parse('issue-created', 'issue')
    expect(event).toMatchObject({
      kind: 'fire',
      signalKey: '4411',
      episode: null,
      eventTime: SENT_AT,
      sourceTime: '1769998500',
      timeFrom: 'header',
      externalId: '4411',
      title: 'TimeoutError: payment provider',
      description: 'shop.payments in charge\npayment provider',
      severity: 'high',
      sourceSeverity: 'error',
      sourceStatus: 'created',
      url: 'https://example.sentry.io/issues/4411/',
      labels: { project: 'shop', platform: 'python' },
    })
    expect(event.evidence?.values).toEqual({
      culprit: 'shop.payments in charge',
      count: '27',
      userCount: '9',
      firstSeen: '2026-02-02T02:02:02.222222Z',
      lastSeen: '2026-02-02T02:12:00.000000Z',
    })
    expect(delivery?.windowMs).toBe(20 * 60_000)
    expect([group, filtered]).toEqual([null, null])
  })

  test('recovers when it is resolved and fires again when it is unresolved', () => {
    expect(parse('issue-resolved', 'issue').event).toMatchObject({ kind: 'recover', signalKey: '4411' })
    expect(parse('issue-unresolved', 'issue').event).toMatchObject({ kind: 'fire', signalKey: '4411' })
  })

  test('that is assigned only informs', () => {
    expect(parse('issue-assigned', 'issue').event).toMatchObject({ kind: 'info', sourceStatus: 'assigned' })
  })

  test('that is archived only informs', () => {
    expect(parse('issue-archived', 'issue').event).toMatchObject({ kind: 'info', sourceStatus: 'archived' })
  })

  test('D2 is the same delivery when the body is the same, whatever its headers', () => {
    expect(parse('issue-created', 'issue').delivery).toEqual(parse('issue-created').delivery)
    expect(parse('issue-created').delivery?.key).not.toBe(parse('issue-resolved').delivery?.key)
    expect(parse('issue-created').event.eventId).not.toBe(parse('issue-resolved').event.eventId)
  })
})

describe('an issue alert', () => {
  test('meets the issue it is about, with the error as evidence', () => {
    const { event, delivery } = parse('event-alert', 'event_alert')
    expect(event).toMatchObject({
      kind: 'fire',
      signalKey: '4411',
      eventTime: SENT_AT,
      timeFrom: 'header',
      firedAt: '2026-02-02T02:02:02.222Z',
      eventId: '0f0e0d0c0b0a09080706050403020100 Page on payment errors',
      externalId: '0f0e0d0c0b0a09080706050403020100',
      severity: 'high',
      url: 'https://example.sentry.io/issues/4411/events/0f0e0d0c0b0a09080706050403020100/',
      services: ['payments'],
    })
    expect(event.labels).toMatchObject({ project: 'shop', environment: 'production', release: 'shop@1.4.2' })
    expect(event.evidence).toEqual({
      stackTrace: ['charge (shop/payments.py:48)', 'main (shop/app.py:3)', 'open (shop/net.py:11)'],
      values: { culprit: 'shop.payments in charge', release: 'shop@1.4.2', environment: 'production' },
    })
    expect(delivery).toBeNull()
  })

  test('without an issue id takes it from the address of the issue', () => {
    const { event } = parse('event-alert-without-issue-id', 'event_alert')
    expect(event.signalKey).toBe('4411')
    expect(event.anonymous).toBeUndefined()
  })

  test('about a message has its text and no stack trace', () => {
    const { event } = parse('event-alert-message', 'event_alert')
    expect(event).toMatchObject({
      kind: 'fire',
      signalKey: '4422',
      title: 'Stock is nearly empty.',
      description: 'Stock is nearly empty.\nRule: Tell on call',
      severity: 'low',
      labels: { project: 'shop', server_name: 'shop-web-1' },
    })
    expect(event.evidence?.stackTrace).toBeUndefined()
  })

  test('N3 made up by Sentry to test the alert opens nothing', () => {
    expect(parse('event-alert-test', 'event_alert').event.test).toBe(true)
  })

  test('keeps at most 50 frames, each of at most 200 characters', () => {
    const frames = Array.from({ length: 300 }, (_, index) => ({ function: `f${index}${'x'.repeat(500)}` }))
    const event = {
      event_id: 'e',
      title: 't',
      issue_id: 1,
      exception: { values: [{ stacktrace: { frames } }] },
    }
    const [parsed] = sentry.parse({ data: { event } }, hookRequest(), noSettings).events
    expect(parsed?.evidence?.stackTrace).toHaveLength(50)
    expect(parsed?.evidence?.stackTrace?.[0]).toMatch(/^f299x{196}$/)
  })
})

describe('a metric alert', () => {
  test('is an episode of its own, apart from an issue of the same number', () => {
    const { event } = parse('metric-alert-critical', 'metric_alert')
    expect(event).toMatchObject({
      kind: 'fire',
      signalKey: 'metric:4411',
      episode: '4411',
      eventTime: '2026-02-03T03:03:00.000Z',
      timeFrom: 'body',
      title: 'Critical: Many payment errors',
      severity: 'critical',
      url: 'https://example.sentry.io/alerts/rules/details/21/',
      monitor: { id: '21', name: 'Many payment errors', url: null },
      evidence: {
        thresholds: { critical: 500, warning: 100, resolve: 50 },
        expression: 'count() where level:error',
      },
    })
    expect(event.labels).toMatchObject({ project: 'shop', aggregate: 'count()', query: 'level:error' })
  })

  test('that falls to a warning stays the same firing, less severe', () => {
    expect(parse('metric-alert-warning', 'metric_alert').event).toMatchObject({
      kind: 'fire',
      episode: '4411',
      severity: 'medium',
    })
  })

  test('ends at date_closed, or when Sentry said so', () => {
    expect(parse('metric-alert-resolved', 'metric_alert').event).toMatchObject({
      kind: 'recover',
      signalKey: 'metric:4411',
      episode: '4411',
      severity: null,
      eventTime: '2026-02-03T03:40:00.000Z',
      timeFrom: 'body',
    })
    expect(parse('metric-alert-resolved-without-end', 'metric_alert').event).toMatchObject({
      kind: 'recover',
      eventTime: SENT_AT,
      timeFrom: 'header',
    })
  })
})

describe('what tells of no outage', () => {
  test.each([
    ['error-created', 'error', '4411'],
    ['comment-created', 'comment', '4411'],
    ['installation-created', 'installation', null],
    ['unknown-resource', 'seer', null],
  ])('%s only informs', (name, resource, signalKey) => {
    const { event } = parse(name, resource)
    expect(event).toMatchObject({ kind: 'info', signalKey })
    expect(event.eventId).toBeTruthy()
  })
})

test('without the header the resource is told by the body', () => {
  for (const name of [
    'issue-created',
    'event-alert',
    'metric-alert-critical',
    'error-created',
    'comment-created',
  ]) {
    const resource = {
      'issue-created': 'issue',
      'event-alert': 'event_alert',
      'metric-alert-critical': 'metric_alert',
      'error-created': 'error',
      'comment-created': 'comment',
    }[name]
    expect(parse(name).event).toEqual(parse(name, resource).event)
  }
})

test('the legacy plugin meets the issue too, ordered by what Sentry received', () => {
  const { event } = parse('plugin')
  expect(event).toMatchObject({
    kind: 'fire',
    signalKey: '4411',
    eventTime: '2026-02-02T02:02:05.500Z',
    timeFrom: 'body',
    firedAt: '2026-02-02T02:02:02.222Z',
    eventId: '0f0e0d0c0b0a09080706050403020100 Page on payment errors',
    title: 'TimeoutError: payment provider',
    severity: 'critical',
    sourceSeverity: 'fatal',
    url: 'https://example.sentry.io/issues/4411/?referrer=webhooks_plugin',
  })
  expect(event.labels.project).toBe('shop')
  expect(event.anonymous).toBeUndefined()
})

test('N5 a source limited to one project filters the others, whatever the resource', () => {
  const filteredFor = (name: string, sentryProject: string) =>
    parse(name, undefined, { ...noSettings, sentryProject }).filtered
  for (const name of ['issue-created', 'event-alert', 'metric-alert-critical', 'comment-created', 'plugin']) {
    expect(filteredFor(name, 'Shop'), name).toBeNull()
    expect(filteredFor(name, 'blog'), name).toContain('project')
  }
  expect(filteredFor('installation-created', 'blog')).toBeNull()
})

test('a test request passes the filter of its own source', () => {
  const settings = { ...noSettings, sentryProject: 'shop' }
  const sent = sentry.testRequest('fire', { id: '1', at: SENT_AT, secret: 's', projectId: 'p', settings })
  const request = hookRequest(sent ?? {})
  expect(sentry.parse(JSON.parse(sent?.body ?? ''), request, settings).filtered).toBeNull()
})

test('a body without its issue is refused by the name of what is missing', () => {
  const request = hookRequest({ headers: { 'sentry-hook-resource': 'issue' } })
  expect(() => sentry.parse({ action: 'created', data: {} }, request, noSettings)).toThrow(/issue/)
  expect(() => sentry.parse({ action: 'created' }, request, noSettings)).toThrow(/data/)
  expect(() => sentry.parse({ data: { event: {} } }, hookRequest(), noSettings)).toThrow(/issue_id/)
})

test('only the signature over the raw bytes vouches at a project address', () => {
  // Escaped and unescaped letters are one text, but not one body.
  const body = Buffer.from('{"action":"created","data":{"title":"\\u00fc ü"}}')
  const secret = 'client secret'
  const signature = createHmac('sha256', secret).update(body).digest('hex')
  const verify = (headers: Record<string, string>) =>
    sentry.verify(hookRequest({ headers, body }), secret, noSettings)
  expect(verify({ 'Sentry-Hook-Signature': signature })).toBe(true)
  expect(verify({ 'X-Webhook-Secret': secret })).toBe(false)
  expect(verify({ Authorization: `Bearer ${secret}` })).toBe(false)
})
