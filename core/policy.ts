import type { Adapter } from './adapters/adapter.ts'
import type { ApiPolicyInput, ApiSourceSettingsInput } from './api-types.ts'
import type { MatchPolicy } from './matcher/state.ts'
import type { Grouping, Policy, ResolveScope, SourceSettings } from './types.ts'

/** What holds for a source's events after source, project and adapter have spoken (matching.md M2). */

const NOTHING_SET: Policy = {
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
}

/** The seeds' literal reading (matching.md). */
const LITERAL: Partial<Policy> = {
  resolveScope: 'incident',
  reopenWindowMinutes: 0,
  attachWindowMinutes: 'none',
  strictExternalId: true,
}

/** A source's settings before anybody has set one. */
export const NO_SETTINGS: SourceSettings = {
  grouping: null,
  groupBy: null,
  reopenWindowMinutes: null,
  resolveScope: null,
  strictExternalId: null,
  staleAfterMinutes: null,
  cidrs: [],
  sentryProject: null,
  signatureHeader: null,
  timestampHeader: null,
  repositories: [],
  statusWords: {},
  mapping: null,
  defaults: { severity: null, services: [], labels: {}, drill: false },
}

export function readPolicy(stored: string): Policy {
  return { ...NOTHING_SET, ...(JSON.parse(stored) as Partial<Policy>) }
}

export function readSettings(stored: string): SourceSettings {
  return { ...NO_SETTINGS, ...(JSON.parse(stored) as Partial<SourceSettings>) }
}

/** A policy with what was written changed; a preset sets its fields first. `attachWindowMinutes: null` is for ever. */
export function changePolicy(policy: Policy, { preset, ...input }: ApiPolicyInput): Policy {
  const changed: Policy = { ...policy, ...(preset === 'literal' && LITERAL) }
  const { attachWindowMinutes, ...others } = input
  Object.assign(changed, others)
  if (attachWindowMinutes !== undefined) changed.attachWindowMinutes = attachWindowMinutes ?? 'none'
  return changed
}

export function changeSettings(settings: SourceSettings, input: ApiSourceSettingsInput): SourceSettings {
  const { defaults, ...others } = input
  return { ...settings, ...others, defaults: { ...settings.defaults, ...defaults } }
}

export interface EffectivePolicy {
  grouping: Grouping
  groupBy: string[]
  reopenWindowMinutes: number
  resolveScope: ResolveScope
  strictExternalId: boolean
  /** Null: for ever. */
  attachWindowMinutes: number | null
  manualQuietMinutes: number
  resolveGraceSeconds: number
}

export function effectivePolicy(
  policy: Policy,
  settings?: SourceSettings,
  adapter?: Adapter,
): EffectivePolicy {
  return {
    grouping: settings?.grouping ?? policy.grouping ?? adapter?.defaults.grouping ?? 'project',
    groupBy: settings?.groupBy ?? policy.groupBy ?? [],
    reopenWindowMinutes:
      settings?.reopenWindowMinutes ??
      policy.reopenWindowMinutes ??
      adapter?.defaults.reopenWindowMinutes ??
      5,
    resolveScope: settings?.resolveScope ?? policy.resolveScope ?? 'signal',
    strictExternalId: settings?.strictExternalId ?? policy.strictExternalId ?? false,
    attachWindowMinutes: policy.attachWindowMinutes === 'none' ? null : (policy.attachWindowMinutes ?? 1440),
    manualQuietMinutes: policy.manualQuietMinutes ?? 5,
    resolveGraceSeconds: policy.resolveGraceSeconds ?? 0,
  }
}

export function matchPolicy(effective: EffectivePolicy): MatchPolicy {
  return {
    attachWindowMs: effective.attachWindowMinutes === null ? null : effective.attachWindowMinutes * 60_000,
    reopenWindowMs: effective.reopenWindowMinutes * 60_000,
    manualQuietMs: effective.manualQuietMinutes * 60_000,
    resolveGraceMs: effective.resolveGraceSeconds * 1000,
    strictExternalId: effective.strictExternalId,
    resolveScope: effective.resolveScope,
  }
}
