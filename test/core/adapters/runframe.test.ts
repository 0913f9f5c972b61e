import { expect, test } from 'vitest'
import { alertmanager } from '../../../core/adapters/alertmanager.ts'
import { datadog } from '../../../core/adapters/datadog.ts'
import { generic } from '../../../core/adapters/generic.ts'
import { readerOf } from '../../../core/adapters/reader.ts'
import { adapters } from '../../../core/adapters/registry.ts'
import { runframe } from '../../../core/adapters/runframe.ts'
import { sentry } from '../../../core/adapters/sentry.ts'
import { hookRequest, noSettings, payload, payloadsOf } from './payload.ts'

function parse(name: string) {
  return runframe.parse(payload(`runframe/${name}`), hookRequest(), noSettings).events[0]!
}

test('everything that is no field of its own is metadata', () => {
  expect(parse('complete')).toMatchObject({
    kind: 'fire',
    anonymous: true,
    title: 'Connection pool is used up',
    description: 'Checkout waits for connections.',
    severity: 'high',
    sourceSeverity: 'High',
    services: ['database', 'checkout'],
    customerImpact: true,
    metadata: {},
  })
  expect(parse('custom-fields').metadata).toEqual({
    error_rate: '15%',
    region: 'eu-central-1',
    build: { number: 42 },
  })
})

test('Pre-emptive is info, an unrendered template a severity nobody knows', () => {
  expect(parse('pre-emptive').severity).toBe('info')
  expect(parse('unrendered-template')).toMatchObject({ severity: null, sourceSeverity: '{{alert.priority}}' })
  expect(parse('minimal').severity).toBeNull()
})

test('the title is what is wrong, unless an id says it', () => {
  expect(parse('minimal').signalKey).toMatch(/^title:/)
  expect(parse('with-id')).toMatchObject({
    signalKey: 'backup-nightly',
    eventTime: '2026-05-05T03:00:00.000Z',
  })
  expect(parse('numbers')).toMatchObject({
    title: '503',
    services: ['checkout', 'search'],
    customerImpact: true,
  })
})

test('no word of the body resolves', () => {
  const event = runframe.parse({ title: 'a', action: 'resolve', status: 'OK' }, hookRequest(), noSettings)
    .events[0]
  expect(event).toMatchObject({ kind: 'fire', metadata: { action: 'resolve', status: 'OK' } })
})

test.each([{}, { title: '' }, { title: '  ' }, { title: null }, { title: {} }, []])(
  '%j is refused',
  (body) => {
    expect(() => runframe.parse(body, hookRequest(), noSettings)).toThrow()
  },
)

const atShort = { ...hookRequest(), path: '/webhooks/token' }

test("a body with a title and nothing of the source's own tool is Runframe's at the short address", () => {
  const sample = payload('runframe/unrendered-template')
  for (const adapter of [datadog, sentry]) {
    expect(readerOf(adapter, sample, atShort, noSettings)).toBe(runframe)
    expect(readerOf(adapter, sample, hookRequest(), noSettings)).toBe(adapter)
  }
  expect(readerOf(generic, sample, atShort, noSettings)).toBe(generic)
})

test('what a tool itself sends stays its own, at every address', () => {
  // Grafana IRM's says in the address what to declare.
  const sent = { ...atShort, query: new URLSearchParams('title=json(a.b)') }
  for (const adapter of adapters.filter(({ slug }) => slug !== 'runframe')) {
    for (const body of payloadsOf(adapter.slug))
      expect(readerOf(adapter, body, sent, noSettings), adapter.slug).toBe(adapter)
  }
})

test("a body of Alertmanager's on a runframe source is Alertmanager's", () => {
  expect(readerOf(runframe, payload('runframe/alertmanager'), atShort, noSettings)).toBe(alertmanager)
})
