import { expect, test } from 'vitest'
import { readOwnSeverity, readSeverity } from '../../../core/adapters/severity.ts'

test.each([
  ['Sentry', { fatal: 'critical', error: 'high', warning: 'medium', info: 'low', debug: 'info' }],
  ['Runframe', { Critical: 'critical', High: 'high', Medium: 'medium', Low: 'low', 'Pre-emptive': 'info' }],
  ['PagerDuty', { critical: 'critical', error: 'high', warning: 'medium', info: 'low' }],
  ['Grafana IRM', { critical: 'critical', major: 'high', minor: 'low', pending: 'info' }],
  ['priorities', { P1: 'critical', p2: 'high', P3: 'medium', 'P-4': 'low', p5: 'info' }],
  ['severities', { sev0: 'critical', 'SEV 1': 'high', 'sev-2': 'medium', SEV_3: 'low', Sev4: 'info' }],
  ['Prometheus habits', { page: 'critical', ticket: 'medium', none: 'info', ' WARN ': 'medium' }],
])('the words of %s', (_name, table) => {
  for (const [word, severity] of Object.entries(table)) expect(readSeverity(word), word).toBe(severity)
})

test('an unknown word is no severity, and no reason to refuse', () => {
  for (const word of [
    '',
    ' ',
    'spicy',
    'constructor',
    '__proto__',
    'x'.repeat(10_000),
    null,
    {},
    [],
    3,
    true,
  ]) {
    expect(readSeverity(word)).toBeNull()
  }
})

test('a sender that knows our scale means info by info', () => {
  expect(readOwnSeverity('INFO')).toBe('info')
  expect(readOwnSeverity('critical')).toBe('critical')
  expect(readOwnSeverity('P2')).toBe('high')
  expect(readOwnSeverity('spicy')).toBeNull()
})
