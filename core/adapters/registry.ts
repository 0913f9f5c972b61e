import type { Adapter } from './adapter.ts'
import { alertmanager } from './alertmanager.ts'
import { betterstack } from './betterstack.ts'
import { cloudevents } from './cloudevents.ts'
import { datadog } from './datadog.ts'
import { generic } from './generic.ts'
import { gitpulse } from './gitpulse.ts'
import { grafana } from './grafana.ts'
import { grafanaIrm } from './grafana-irm.ts'
import { pagerduty } from './pagerduty.ts'
import { pagerdutyEvents } from './pagerduty-events.ts'
import { runframe } from './runframe.ts'
import { sentry } from './sentry.ts'
import { uptimeKuma } from './uptime-kuma.ts'
import { uptimera } from './uptimera.ts'

/** Every monitoring tool Tocsin knows, in the order people see them. */
export const adapters: readonly Adapter[] = [
  sentry,
  grafana,
  alertmanager,
  betterstack,
  pagerduty,
  pagerdutyEvents,
  datadog,
  uptimeKuma,
  uptimera,
  runframe,
  gitpulse,
  grafanaIrm,
  cloudevents,
  generic,
]

const BY_SLUG = new Map(adapters.map((adapter) => [adapter.slug, adapter]))

/** The adapter of that name in addresses and settings; undefined where there is none. */
export function adapterBySlug(slug: string): Adapter | undefined {
  return BY_SLUG.get(slug)
}
