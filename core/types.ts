/**
 * The glossary as types. What the adapters hand to the matcher and what the matcher and the store share.
 * Times are ISO 8601 UTC text with milliseconds unless a comment says otherwise; absent is null.
 */

export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'] as const
export type Severity = (typeof SEVERITIES)[number]

export const PLANS = ['free', 'pro', 'team', 'unlimited'] as const
export type Plan = (typeof PLANS)[number]

export const SCOPES = [
  'incidents:read',
  'incidents:write',
  'sources:read',
  'sources:write',
  'endpoints:read',
  'endpoints:write',
  'events:write',
  'secrets:read',
  'admin',
] as const
export type Scope = (typeof SCOPES)[number]

/** What became of an event or a request, in the order of consequence (matching.md I6). */
export const OUTCOMES = [
  'opened',
  'reopened',
  'resolved',
  'acknowledged',
  'recovered',
  'attached',
  'refreshed',
  'late',
  'stale',
  'unmatched',
  'info',
  'duplicate',
  'filtered',
  'test',
  'parked',
  'rejected',
] as const
export type Outcome = (typeof OUTCOMES)[number]

/** What parameters of the address and a source's mapping can say (design.md 5). */
export type MappedField =
  | 'title'
  | 'description'
  | 'id'
  | 'action'
  | 'severity'
  | 'service'
  | 'labels'
  | 'drill'
  | 'roomprefix'

export type EventKind = 'fire' | 'refresh' | 'recover' | 'ack' | 'info'
export type Grouping = 'project' | 'signal' | 'key'
export type ResolveScope = 'signal' | 'incident'
export type IncidentStatus = 'open' | 'acknowledged' | 'resolved'
export type SignalStatus = 'firing' | 'recovered' | 'manual' | 'stale'
export type Labels = Record<string, string>

export interface Monitor {
  id: string | null
  name: string | null
  url: string | null
}

/** What a post-mortem may cite of an event besides its text. Members are present only where the sender gave them. */
export interface Evidence {
  /** Innermost frame first, at most 50, each at most 200 characters. */
  stackTrace?: string[]
  /** Measured values by name (Grafana's `values`, Sentry's counts, users, culprit, release, environment, first and last seen). */
  values?: Record<string, string | number>
  thresholds?: Record<string, string | number>
  /** The query or condition of the alert's rule. */
  expression?: string
  links?: { text: string; href: string }[]
}

/** One HTTP request as it arrived: raw bytes, nothing decoded. */
export interface HookRequest {
  method: string
  /** Path without the query. Holds the token of a token address: never log it as it is. */
  path: string
  query: URLSearchParams
  /** Lower-case names; one entry per header line received, so that repeats can be seen. */
  headers: ReadonlyMap<string, readonly string[]>
  rawBody: Buffer
  receivedAt: string
  /** The sender's address, after trusted proxies, or `unknown`; null where there was no connection (replay, test). */
  ip: string | null
}

/** One normalised transition, as an adapter reads it. */
export interface AlertEvent {
  kind: EventKind
  /** The sender's own test message (matching.md N3): opens nothing. */
  test?: boolean
  /** What is watched, unique within the source (matching.md 1, table). Null: the event joins to nothing. */
  signalKey: string | null
  /** The sender gave no id, so the signal key was made from the title (matching.md D5, R3). */
  anonymous?: boolean
  /** The sender's name for one firing stretch; null where we count stretches ourselves. */
  episode: string | null
  /** Start of that episode where the sender says so. */
  episodeStart: string | null
  /** A repeat with the same identity updates what is stored (matching.md D3), and monitors pair (R4): GitPulse's shape. */
  upsert?: boolean
  /** The body could not be read, so defaults stand in for it. */
  bodyNotRead?: boolean
  /** An explicit "reopened" word: the next stretch whatever the clocks say (T2). */
  reopen?: boolean
  /** When it happened, by the sender. Null where it gave no usable time. */
  eventTime: string | null
  /** That time as sent, unparsed; for event keys and for showing. */
  sourceTime: string | null
  /** A time in a header orders events, but is no part of an event's identity (D2). */
  timeFrom: 'body' | 'header' | null
  /** Stands for the time in the event's identity where the body has none (D2); absent: our count of stretches does. */
  moment?: string
  /** Start of the occurrence where it differs from the ordering time (Sentry's `event.datetime`). */
  firedAt?: string | null
  /** Id of this state change for deduplication (matching.md 1, "event id"). */
  eventId: string | null
  /** The sender's own id, unchanged, for showing. */
  externalId: string | null
  title: string
  description: string | null
  /** Null where the sender gave none or an unknown word; the default then applies. */
  severity: Severity | null
  sourceSeverity: string | null
  /** The sender's status or action word as sent. */
  sourceStatus: string | null
  url: string | null
  monitor: Monitor | null
  services: string[]
  customerImpact: boolean
  labels: Labels
  metadata: Record<string, unknown>
  drill: boolean
  evidence: Evidence | null
}

/** The group a request belongs to, for senders that notify by group (matching.md D4, R2). */
export interface AlertGroup {
  key: string
  status: 'firing' | 'resolved'
  /** How many alerts the sender cut off; then only listed alerts change. */
  truncated: number
  /** Equal to the last one of this group: a repeated notification. */
  fingerprint: string
  /** Greatest endsAt of the body, null where all were zero. */
  greatestEndsAt: string | null
}

/** Everything an adapter reads from one request. */
export interface ParsedRequest {
  events: AlertEvent[]
  /** Same on every retry of one delivery; seen again within the window, the request is a duplicate (D1). */
  delivery: { key: string; windowMs: number } | null
  group: AlertGroup | null
  /** Why the source's own filter excludes this request (N5); null where it does not. */
  filtered: string | null
  /** The sender's name for what it spoke of, where its own format answers it. */
  echo?: string
  /** What the owner may want to mend though the request is taken. */
  remark?: string
}

/** Settings of one source; null means "as the project or the adapter says" (matching.md M2). */
export interface SourceSettings {
  grouping: Grouping | null
  groupBy: string[] | null
  reopenWindowMinutes: number | null
  resolveScope: ResolveScope | null
  strictExternalId: boolean | null
  staleAfterMinutes: number | null
  /** Addresses allowed to send; empty allows all. */
  cidrs: string[]
  sentryProject: string | null
  /** Header that carries the HMAC; null: the adapter's default. */
  signatureHeader: string | null
  /** Header that carries the signed time; null: the signature covers the body alone. */
  timestampHeader: string | null
  repositories: string[]
  /** The source's own status words, in addition to the built-in tables. */
  statusWords: Record<string, EventKind>
  mapping: Partial<Record<MappedField, string>> | null
  defaults: { severity: Severity | null; services: string[]; labels: Labels; drill: boolean }
}

/** A project's matching policy; null means "the built-in default", see `effectivePolicy`. */
export interface Policy {
  grouping: Grouping | null
  groupBy: string[] | null
  /** Minutes; 'none' is for ever. Null: the default of 1440. */
  attachWindowMinutes: number | 'none' | null
  reopenWindowMinutes: number | null
  manualQuietMinutes: number | null
  resolveGraceSeconds: number | null
  resolveStale: boolean | null
  openAfter: { fires?: number; seconds?: number } | null
  strictExternalId: boolean | null
  resolveScope: ResolveScope | null
}

export type AddressKind = 'project' | 'token'
