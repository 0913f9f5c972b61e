import type { Adapter } from './adapter.ts'
import { alertmanager } from './alertmanager.ts'
import { betterstack } from './betterstack.ts'
import { generic } from './generic.ts'
import { grafana } from './grafana.ts'
import { sentry } from './sentry.ts'

/** Every monitoring tool Tocsin knows, in the order people see them. */
export const adapters: readonly Adapter[] = [sentry, grafana, alertmanager, betterstack, generic]

const BY_SLUG = new Map(adapters.map((adapter) => [adapter.slug, adapter]))

/** The adapter of that name in addresses and settings; undefined where there is none. */
export function adapterBySlug(slug: string): Adapter | undefined {
  return BY_SLUG.get(slug)
}
