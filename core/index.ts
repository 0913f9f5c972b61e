/** The public names of @tocsin/core. */
export type { Adapter, BodyKind } from './adapters/adapter.ts'
export { findHeaderFault, readJsonBody } from './adapters/read-body.ts'
export { adapterBySlug, adapters } from './adapters/registry.ts'
export type * from './api-types.ts'
export { RETRY_POLICIES } from './delivery/retry-policy.ts'
export type { TargetRules } from './delivery/targets.ts'
export { type ErrorCode, TocsinError } from './errors.ts'
export { openTocsin } from './open-tocsin.ts'
export { NO_SETTINGS } from './policy.ts'
export { bareAddress } from './sender-address.ts'
export { backupDatabase, type Restored, restoreDatabase } from './store/backup.ts'
export { MESSAGE_TYPES } from './store/outbox.ts'
export type {
  Caller,
  FirstStart,
  Log,
  OnceAnswer,
  OnceRequest,
  OpenedTocsin,
  OpenOptions,
  ReceiveAddress,
  Received,
  Tocsin,
} from './tocsin.ts'
export {
  type HookRequest,
  OUTCOMES,
  type Outcome,
  PLANS,
  type Plan,
  SCOPES,
  type Scope,
  SEVERITIES,
  type Severity,
} from './types.ts'
export { cleanText } from './untrusted-text.ts'

import { adapters } from './adapters/registry.ts'

/** Names of the adapters, as they stand in addresses. */
export const adapterSlugs: readonly string[] = adapters.map((adapter) => adapter.slug)
