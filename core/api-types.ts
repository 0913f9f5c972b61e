/** JSON shapes of the HTTP API (design.md 5 to 7). Plain types; imports nothing, so that clients can copy it. */

export type ApiSeverity = 'critical' | 'high' | 'medium' | 'low' | 'info'
export type ApiPlan = 'free' | 'pro' | 'team' | 'unlimited'
export type ApiScope =
  | 'incidents:read'
  | 'incidents:write'
  | 'sources:read'
  | 'sources:write'
  | 'endpoints:read'
  | 'endpoints:write'
  | 'events:write'
  | 'secrets:read'
  | 'admin'
export type ApiOutcome =
  | 'opened'
  | 'reopened'
  | 'resolved'
  | 'acknowledged'
  | 'recovered'
  | 'attached'
  | 'refreshed'
  | 'late'
  | 'stale'
  | 'unmatched'
  | 'info'
  | 'duplicate'
  | 'filtered'
  | 'test'
  | 'parked'
  | 'rejected'
export type ApiEventKind = 'fire' | 'refresh' | 'recover' | 'ack' | 'info'
export type ApiIncidentStatus = 'open' | 'acknowledged' | 'resolved'

/**
 * A project's policy. Null means not set, so the built-in default holds, but for `attachWindowMinutes`:
 * written as null it means for ever (matching.md M3). `effectivePolicy` of the project shows what holds.
 */
export interface ApiPolicy {
  grouping: 'project' | 'signal' | 'key' | null
  groupBy: string[] | null
  attachWindowMinutes: number | null
  reopenWindowMinutes: number | null
  manualQuietMinutes: number | null
  resolveGraceSeconds: number | null
  resolveStale: boolean | null
  openAfter: { fires?: number; seconds?: number } | null
  strictExternalId: boolean | null
  resolveScope: 'signal' | 'incident' | null
}

/** A policy as written: any of its fields, or a preset that sets them all. */
export type ApiPolicyInput = Partial<ApiPolicy> & { preset?: 'literal' }

export interface ApiProject {
  id: string
  name: string
  plan: ApiPlan
  policy: ApiPolicy
  /** What holds where neither a source nor an adapter says otherwise; `attachWindowMinutes` null is for ever. */
  effectivePolicy: {
    attachWindowMinutes: number | null
    manualQuietMinutes: number
    resolveGraceSeconds: number
  }
  ingestionEnabled: boolean
  createdAt: string
}

export interface ApiProjectInput {
  name: string
  plan?: ApiPlan | 'business'
  policy?: ApiPolicyInput
}

export interface ApiProjectPatch {
  name?: string
  plan?: ApiPlan | 'business'
  policy?: ApiPolicyInput
  ingestionEnabled?: boolean
}

export interface ApiMapping {
  title?: string
  description?: string
  id?: string
  action?: string
  severity?: string
  service?: string
  labels?: string
  drill?: string
  /** Of grafana-irm. */
  roomprefix?: string
}

export interface ApiSourceSettings {
  grouping: 'project' | 'signal' | 'key' | null
  groupBy: string[] | null
  reopenWindowMinutes: number | null
  resolveScope: 'signal' | 'incident' | null
  strictExternalId: boolean | null
  staleAfterMinutes: number | null
  cidrs: string[]
  sentryProject: string | null
  signatureHeader: string | null
  timestampHeader: string | null
  repositories: string[]
  statusWords: Record<string, ApiEventKind>
  /** By field: `json(path)` or the value itself. */
  mapping: ApiMapping | null
  defaults: {
    severity: ApiSeverity | null
    services: string[]
    labels: Record<string, string>
    drill: boolean
  }
}

/** Settings as written: any field; `defaults` too may be given in part. */
export type ApiSourceSettingsInput = Partial<Omit<ApiSourceSettings, 'defaults'>> & {
  defaults?: Partial<ApiSourceSettings['defaults']>
}

export interface ApiSourceHealth {
  /** Share of accepted among the requests its credential vouched for, 0 to 1; null without any. The same counts below. */
  successRate24h: number | null
  successRate30d: number | null
  lastRequestAt: string | null
  lastSuccessAt: string | null
  lastErrors: { at: string; code: string; message: string; diagnosis: string | null; requestId: string }[]
  /** Requests no credential vouched for, which count nowhere else: how many, of the fifty that are kept, and the last. */
  strangers: {
    last24h: number
    last: { at: string; message: string; diagnosis: string | null; requestId: string }[]
  }
  /** How many requests in a row, up to the last one, were accepted, and how many were refused: one of them is 0. */
  successStreak: number
  failureStreak: number
  /** Alerts that began to fire and that ended, of the last 30 days, without drills. */
  opened30d: number
  recovered30d: number
  /** Status words that no table knows, of the last 30 days, newest first: their events open and resolve nothing. */
  unknownStatusWords: { word: string; count: number; lastAt: string }[]
  /** What its owner may want to mend, in sentences. */
  notes: string[]
}

export interface ApiSource {
  id: string
  adapter: string
  name: string
  enabled: boolean
  address: 'project' | 'token'
  /** The address to paste into the tool; its token is masked without the scope `secrets:read`. */
  url: string
  /** Masked without `secrets:read`; absent where the address itself is the credential. */
  secret?: string
  settings: ApiSourceSettings
  /** What holds after source, project and adapter have spoken (matching.md M2). */
  effective: {
    grouping: 'project' | 'signal' | 'key'
    groupBy: string[]
    reopenWindowMinutes: number
    resolveScope: 'signal' | 'incident'
    strictExternalId: boolean
  }
  health: ApiSourceHealth
  setup: { step: string }[]
  createdAt: string
}

export interface ApiSourceInput {
  adapter: string
  name?: string
  address?: 'project' | 'token'
  secret?: string
  settings?: ApiSourceSettingsInput
  /** Answers an id to reveal the credential by instead of the credential, for callers that must not see it. */
  reveal?: boolean
  /** Refused where the project has a source of this tool and name, also one made at the same moment. */
  unique?: boolean
}

export interface ApiSourcePatch {
  name?: string
  enabled?: boolean
  settings?: ApiSourceSettingsInput
}

export interface ApiPreviewInput {
  adapter: string
  /** Absent: that of the project's own source. */
  mapping?: ApiMapping | null
  /** A body as the tool sends it. */
  sample: unknown
  /** Path it would be sent to, with the query; absent: the usual one of the adapter, without a query. */
  path?: string
}

/** What an adapter reads in a body. */
export interface ApiPreviewEvent {
  kind: ApiEventKind
  /** The tool's own test message. */
  test: boolean
  signalKey: string | null
  episode: string | null
  externalId: string | null
  title: string
  description: string | null
  severity: ApiSeverity
  sourceSeverity: string | null
  sourceStatus: string | null
  eventTime: string
  sourceTime: string | null
  url: string | null
  monitor: { id: string | null; name: string | null; url: string | null }
  services: string[]
  customerImpact: boolean
  labels: Record<string, string>
  metadata: Record<string, unknown>
  drill: boolean
}

export interface ApiPreview {
  events: ApiPreviewEvent[]
  /** One per event, in the same order. `incidentId` is null where it would make one. */
  decisions: { outcome: ApiOutcome; rule: string; text: string; incidentId: string | null }[]
}

export interface ApiRotateInput {
  /** How long the old credential stays valid; default 0 for token addresses, 1440 for others. */
  overlapMinutes?: number
  /** A secret made by the sender; generated where absent. */
  secret?: string
  /** As at the creation. */
  reveal?: boolean
}

/** A credential just made, to be seen once by someone with `secrets:read`. */
export interface ApiReveal {
  id: string
  /** Ten minutes after it was made. */
  expiresAt: string
}

/** What a reveal shows. */
export interface ApiCredential {
  sourceId: string
  adapter: string
  name: string
  url: string
  /** Null where the address itself is the credential. */
  secret: string | null
}

/** Whether a project receives webhooks, and where tools would send them. */
export interface ApiIngestion {
  projectId: string
  projectName: string
  plan: ApiPlan
  /** Whether the plan has webhooks. */
  inPlan: boolean
  /** The plan has them and the project's own switch is on. */
  enabled: boolean
  /** Base of every address. */
  publicUrl: string
  /** One per tool, whether there is a source for it or not; `{token}` stands for the token of a source. */
  addresses: { adapter: string; name: string; address: 'project' | 'token'; url: string }[]
}

/** One call of an assistant's tool. */
export interface ApiToolCall {
  id: string
  at: string
  /** Null where no project was found for it. */
  projectId: string | null
  caller: { keyId: string; name: string }
  tool: string
  /** As given, without what may be a secret. */
  arguments: Record<string, unknown>
  /** `ok`, or the code of the error. */
  outcome: string
  durationMs: number
}

export type ApiToolCallInput = Pick<
  ApiToolCall,
  'projectId' | 'tool' | 'arguments' | 'outcome' | 'durationMs'
>

export interface ApiIncidentSummary {
  id: string
  reference: string
  title: string
  severity: ApiSeverity
  status: ApiIncidentStatus
  url: string | null
}

/** The native answer to a webhook, given after the commit. */
export interface ApiReceived {
  success: true
  outcome: ApiOutcome
  duplicate: boolean
  incident: ApiIncidentSummary | null
  events: { outcome: ApiOutcome; rule: string; incidentId: string | null }[]
  /** How many members still fire after a recovery that left others firing. */
  stillFiring?: number
  /** Said where a recovery matched nothing: what fires, and what to do about it. */
  hint?: string
}

export interface ApiSignal {
  id: string
  key: string
  title: string
  status: 'firing' | 'recovered' | 'manual' | 'stale'
  monitor: { id: string | null; name: string | null; url: string | null }
  source: { id: string; adapter: string; name: string }
  firedAt: string
  recoveredAt: string | null
  /** Milliseconds it fired; null while it does. */
  durationMs: number | null
}

export interface ApiIncident {
  id: string
  reference: string
  projectId: string
  title: string
  status: ApiIncidentStatus
  severity: ApiSeverity
  sourceSeverity: string | null
  startedAt: string
  detectedAt: string
  openedAt: string
  acknowledgedAt: string | null
  resolvedAt: string | null
  /** Milliseconds over all open stretches; null while open. */
  durationMs: number | null
  services: string[]
  customerImpact: boolean
  drill: boolean
  labels: Record<string, string | string[]>
  metadata: Record<string, unknown>
  /** The sender's link. */
  url: string | null
  /** Tocsin's own page. */
  consoleUrl: string | null
  signals: ApiSignal[]
  signalCount: number
  firingCount: number
  eventCount: number
  reopenCount: number
  updatedAt: string
}

export interface ApiIncidentInput {
  title: string
  severity?: ApiSeverity
  description?: string
  services?: string[]
  labels?: Record<string, string>
  drill?: boolean
}

/** Lists of words are "any of these"; times compare `openedAt`. */
export interface ApiIncidentQuery {
  ids?: string[]
  status?: ApiIncidentStatus[]
  severity?: ApiSeverity[]
  service?: string[]
  /** Source ids or adapter slugs. */
  source?: string[]
  q?: string
  since?: string
  until?: string
  drill?: boolean
  limit?: number
  cursor?: string
}

/**
 * Which incidents to measure; `exclude` leaves out those known late, ended for want of news, or with a time the sender
 * did not give. Drills are always left out.
 */
export interface ApiMetricsQuery {
  severity?: ApiSeverity[]
  service?: string[]
  /** Source ids or adapter slugs. */
  source?: string[]
  since?: string
  until?: string
  exclude?: ('drill' | 'late' | 'stale' | 'timeInferred')[]
}

export interface ApiMetrics {
  /** Mean milliseconds from detection to the first acknowledgement, of those acknowledged; null without any. */
  mttaMs: number | null
  /** Mean milliseconds incidents were open, over all their stretches, of those resolved; null without any. */
  mttrMs: number | null
  /** Incidents measured; drills never are. */
  incidents: number
  /** Those of them that nobody acknowledged. */
  unacknowledged: number
  /** Incidents that match but were left out, drills among them. */
  excluded: number
}

export interface ApiEvent {
  id: string
  externalId: string | null
  kind: ApiEventKind
  outcome: ApiOutcome
  rule: string
  /** The rule path that decided, each with what it means. */
  receipt: { rule: string; text: string }[]
  title: string
  description: string | null
  severity: ApiSeverity
  sourceSeverity: string | null
  sourceStatus: string | null
  eventTime: string
  sourceTime: string | null
  /** `backfilled`, `timeInferred`, `late`. */
  flags: string[]
  receivedAt: string
  signalKey: string | null
  sourceId: string
  requestId: string
  incidentId: string | null
  url: string | null
  labels: Record<string, string>
  evidence: {
    stackTrace?: string[]
    values?: Record<string, string | number>
    thresholds?: Record<string, string | number>
    /** The query or condition of the alert's rule. */
    expression?: string
    links?: { text: string; href: string }[]
  } | null
  duplicateCount: number
  lastSeenAt: string
}

export interface ApiTimelineEntry {
  id: string
  at: string
  kind: 'opened' | 'acknowledged' | 'resolved' | 'reopened' | 'context' | 'note' | 'recovered' | 'partial'
  /** Number among the incident's transitions, without gaps; null for entries that change no status. */
  sequence: number | null
  actor: { type: 'source' | 'key' | 'system'; id: string | null; name: string }
  text: string
  requestId: string | null
  eventIds: string[]
}

export interface ApiRequest {
  id: string
  receivedAt: string
  sourceId: string | null
  method: string
  path: string
  ip: string | null
  /** HTTP status answered. */
  status: number
  outcome: ApiOutcome
  /** Error code of a rejection or reason of a parking. */
  reason: string | null
  /** A sentence for the owner of the source. */
  message: string | null
  /** The rule that decided; null where the request was refused. */
  rule: string | null
  /** What may be wrong with a refused request, or to be mended for one that was taken; null where there is no more to tell. */
  diagnosis: string | null
  deliveryKey: string | null
  incidentId: string | null
  bodySize: number
  replayable: boolean
}

export interface ApiRequestDetail extends ApiRequest {
  /** Headers without credentials. */
  headers: Record<string, string>
  /** The raw body as text where it is UTF-8, else base64; null where none was kept. */
  body: string | null
  bodyEncoding: 'utf8' | 'base64' | null
  events: ApiEvent[]
}

export interface ApiRequestQuery {
  source?: string
  outcome?: ApiOutcome[]
  status?: number[]
  since?: string
  limit?: number
  cursor?: string
}

export interface ApiKey {
  id: string
  name: string
  scopes: ApiScope[]
  projectId: string | null
  createdAt: string
  expiresAt: string | null
}

/** The key that is calling. */
export interface ApiOwnKey extends Pick<ApiKey, 'id' | 'name' | 'scopes' | 'projectId'> {
  /** Null where it opens all projects. */
  projectName: string | null
}

export interface ApiKeyInput {
  name: string
  scopes: ApiScope[]
  expiresAt?: string
}

export interface ApiPage {
  limit?: number
  cursor?: string
}

export type ApiMessageType =
  | 'incident.opened'
  | 'incident.acknowledged'
  | 'incident.resolved'
  | 'incident.reopened'
  | 'incident.updated'
  | 'endpoint.disabled'
  | 'test'
export type ApiRetryPolicy = 'standard-3d' | 'uptimera-30m' | 'runframe-2h' | 'once'

export interface ApiEndpoint {
  id: string
  url: string
  description: string | null
  enabled: boolean
  /** Why it was switched off; null while it is on. */
  disabledReason: 'by_hand' | 'gone' | 'failed' | 'no_success' | null
  events: ApiMessageType[]
  /** Empty lists take everything. */
  severities: ApiSeverity[]
  services: string[]
  /** All of them have to be there. */
  labels: Record<string, string>
  /** Ids of sources. */
  sources: string[]
  /** Whether drills are sent too. */
  drills: boolean
  policy: ApiRetryPolicy
  /** A second header: HMAC-SHA256 of the body alone, keyed with the whole secret as text. */
  signature: { header: string; format: 'hex' | 'base64' } | null
  /** The signing secret; masked without `secrets:read`. */
  secret: string
  counters: {
    pending: number
    delivered: number
    failed: number
    attempts: number
    lastSuccessAt: string | null
    lastFailureAt: string | null
    /** Until when nothing is sent, after failures or at the receiver's wish; null: nothing holds it back. */
    waitingUntil: string | null
  }
  createdAt: string
}

export interface ApiEndpointInput {
  url: string
  /** `whsec_` and 24 to 64 bytes in base64; generated where absent. */
  secret?: string
  events?: ApiMessageType[]
  severities?: ApiSeverity[]
  services?: string[]
  labels?: Record<string, string>
  sources?: string[]
  drills?: boolean
  enabled?: boolean
  policy?: ApiRetryPolicy
  description?: string | null
  signature?: { header: string; format: 'hex' | 'base64' } | null
  /** Sets `signature` and `policy` for receivers built for that sender; what is given beside it wins. */
  preset?: 'uptimera'
}

export type ApiEndpointPatch = Partial<Omit<ApiEndpointInput, 'secret'>>

export interface ApiMessage {
  /** The `webhook-id`, the same over retries and replays. */
  id: string
  type: ApiMessageType
  endpointId: string
  incidentId: string | null
  /** Of the transition within its incident. */
  sequence: number | null
  status: 'pending' | 'delivered' | 'failed'
  /** Why it failed for good. */
  reason: 'attempts' | 'gone' | 'circuit_open' | 'restored' | null
  createdAt: string
  /** Null where it is done, or waits for the one before it. */
  nextAttemptAt: string | null
  /** The body as it is sent. */
  requestBody: string
}

export interface ApiMessageQuery {
  status?: ApiMessage['status'][]
  type?: ApiMessageType[]
  /** Made at or after, and at or before. */
  since?: string
  until?: string
  limit?: number
  cursor?: string
}

export interface ApiAttempt {
  at: string
  /** As sent, without the signatures. */
  requestHeaders: Record<string, string>
  responseStatus: number | null
  durationMs: number
  /** What went wrong; null where a whole answer came. */
  error: string | null
  /** The first 4 KiB of the answer. */
  responseBody: string | null
}

/** Messages made in this range; failed ones unless told. */
export interface ApiReplayRange {
  since?: string
  until?: string
  status?: ('delivered' | 'failed')[]
}

// ---- post-mortems ----

export type ApiPostmortemTemplate = 'standard' | 'brief' | 'five_whys'
export type ApiPostmortemAudience = 'internal' | 'customer'

export interface ApiPostmortemInput {
  template?: ApiPostmortemTemplate
  audience?: ApiPostmortemAudience
  /** Drafts and answers, stores nothing (`revision` is null). Needs incidents:read only; storing needs incidents:write. */
  dryRun?: boolean
}

/**
 * What can be said of an incident, from its stored events and timeline alone. `evidenceIds` are ids of events or of
 * timeline entries. Lists are bounded; `counts` tell of everything. With audience `customer`, nothing here names a
 * person, host, label, alert or release.
 */
export interface ApiPostmortemFacts {
  title: string
  status: ApiIncidentStatus
  severity: ApiSeverity
  drill: boolean
  services: string[]
  /** Whether a sender said that customers are affected. */
  customerImpact: boolean
  /** The earliest firing, by the senders' clocks. */
  startedAt: string
  /** The first word of it that arrived. */
  detectedAt: string
  /** The first acknowledgement, also of an earlier open stretch. */
  acknowledgedAt: string | null
  /** Null while it is open. */
  resolvedAt: string | null
  timeToDetectMs: number
  timeToAcknowledgeMs: number | null
  /** Sum over the open stretches; null while it is open. */
  timeToResolveMs: number | null
  /** What vouches for the members above, by their names. */
  evidenceIds: {
    severity: string[]
    services: string[]
    customerImpact: string[]
    startedAt: string[]
    detectedAt: string[]
    acknowledgedAt: string[]
    resolvedAt: string[]
  }
  /** One unless it was reopened. */
  stretches: {
    startedAt: string
    /** Null: open. */
    resolvedAt: string | null
    /** Null: open, or moved by events that came late. */
    durationMs: number | null
    resolution: 'recovered' | 'by_hand' | null
    evidenceIds: string[]
  }[]
  /** What people, tools and Tocsin did, oldest first. */
  actions: {
    at: string
    kind: 'opened' | 'acknowledged' | 'resolved' | 'reopened' | 'note'
    by: { type: 'source' | 'key' | 'system'; name: string }
    /** Text of a note. */
    text: string | null
    /** How many signals still fired at a resolution by hand. */
    stillFiring: number | null
    evidenceIds: string[]
  }[]
  signals: {
    id: string
    title: string
    monitor: string | null
    source: string
    /** What its first alert said besides its title. */
    description: string | null
    status: ApiSignal['status']
    severity: ApiSeverity
    firedAt: string
    recoveredAt: string | null
    /** Whose word the last recovery is: the sender's, our inference, or a person's; null while it fires. */
    recovery: 'reported' | 'inferred' | 'by_hand' | null
    /** How often it fired in this incident. */
    firings: number
    /** Sum of its ended firings. */
    firingMs: number
    evidenceIds: string[]
  }[]
  sources: { id: string; adapter: string; name: string; events: number; evidenceIds: string[] }[]
  counts: {
    events: number
    requests: number
    /** Repeats of events, which changed nothing. */
    duplicates: number
    signals: number
    firing: number
    firings: number
    /** Firings beyond the first of each signal. */
    flaps: number
    reopenings: number
    /** Last recoveries that no sender reported. */
    inferredRecoveries: number
    /** Events whose sender gave no usable time, of those looked at. */
    withoutTime: number
    notes: number
  }
  /** Values and thresholds as the senders gave them, first and last of each signal. */
  measurements: {
    at: string
    signal: string
    kind: 'value' | 'threshold' | 'expression'
    name: string
    value: string | number
    evidenceIds: string[]
  }[]
  /** What error trackers said. */
  errors: {
    title: string
    culprit: string | null
    /** Innermost frame first. */
    stackTrace: string[]
    count: number | null
    users: number | null
    firstSeenAt: string | null
    lastSeenAt: string | null
    release: string | null
    environment: string | null
    evidenceIds: string[]
  }[]
  /** Signals of this incident that fired together before, with the earlier incidents. */
  coFiring: { signals: [string, string]; times: number; references: string[] }[]
  /** Every id cited above, and what stands there. */
  evidence: { id: string; kind: 'event' | 'timeline'; at: string; text: string }[]
}

export interface ApiPostmortem {
  incidentId: string
  reference: string
  /** Null: a draft that is not stored. */
  revision: number | null
  template: ApiPostmortemTemplate
  audience: ApiPostmortemAudience
  markdown: string
  /** tocsin: the deterministic draft; model: prose by the configured model, checked; person: written through the API. */
  generatedBy: 'tocsin' | 'model' | 'person'
  /** Why the model's text was not used; null where it was, or where none is configured. */
  fallbackReason: string | null
  createdAt: string
  /** Name of the key it was made with; null where it is not stored. */
  createdBy: string | null
  facts: ApiPostmortemFacts
  timeline: { at: string; text: string; evidenceIds: string[] }[]
  gaps: { section: string; question: string }[]
  related: { id: string; reference: string; title: string; why: string }[]
  /** Sentences whose times, numbers or names are not among the facts. */
  unsupported: { text: string; why: string }[]
}
