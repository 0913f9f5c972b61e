import type { Plan } from '../types.ts'

/**
 * The tables, one interface each. Ids are text (UUIDv7 but for projects, v4), times ISO 8601 UTC text, flags 0 or 1,
 * JSON is text. The same on both databases.
 */
export interface Schema {
  project: ProjectTable
  source: SourceTable
  source_credential: SourceCredentialTable
  source_hour: SourceHourTable
  source_word: SourceWordTable
  api_key: ApiKeyTable
  hook_request: HookRequestTable
  shared_text: SharedTextTable
  event: EventTable
  signal: SignalTable
  occurrence: OccurrenceTable
  incident: IncidentTable
  incident_chunk: IncidentChunkTable
  occurrence_chunk: IncidentChunkTable
  signal_second: SignalSecondTable
  timeline_entry: TimelineEntryTable
  log_entry: LogEntryTable
  sender_group: SenderGroupTable
  idempotency: IdempotencyTable
  setting: SettingTable
  endpoint: EndpointTable
  endpoint_secret: EndpointSecretTable
  message: MessageTable
  message_body: MessageBodyTable
  attempt: AttemptTable
  postmortem: PostmortemTable
  postmortem_prose: PostmortemProseTable
  secret_reveal: SecretRevealTable
  audit: AuditTable
}

export interface ProjectTable {
  id: string
  name: string
  plan: Plan
  policy: string
  ingestion_enabled: number
  /** Raised by every change of the project, its sources or their credentials: a batch refuses what was authenticated before. */
  config_version: number
  /** Position of the newest entry of the project's ordered log (matching.md 1). */
  log_position: number
  last_incident_number: number
  created_at: string
}

export interface SourceTable {
  id: string
  project_id: string
  adapter: string
  name: string
  address: string
  enabled: number
  settings: string
  created_at: string
  /** Incidents name their sources for ever, so a deleted one stays as a row without credentials. */
  deleted_at: string | null
}

export interface SourceCredentialTable {
  id: string
  source_id: string
  project_id: string
  /** SHA-256 of a token address's token; null for other credentials. */
  lookup_hash: string | null
  /** The credential, sealed (secrets.ts). */
  sealed: string
  created_at: string
  /** End of the overlap after a rotation; null for the current one. */
  expires_at: string | null
}

/** How a source fared in one hour; the request log itself is too long to be counted. */
export interface SourceHourTable {
  source_id: string
  /** Such as 2026-11-21T08. */
  hour: string
  accepted: number
  refused: number
  /** Alerts that began to fire, and that ended. */
  opened: number
  recovered: number
  /** The last requests of the hour that went the same way: accepted above 0, refused below. */
  streak: number
  last_at: string
  last_accepted_at: string | null
}

/** Status words of a source that no table knows (N2). */
export interface SourceWordTable {
  source_id: string
  word: string
  count: number
  last_at: string
}

export interface ApiKeyTable {
  id: string
  project_id: string | null
  name: string
  hash: string
  scopes: string
  created_at: string
  expires_at: string | null
}

export interface HookRequestTable {
  id: string
  project_id: string
  source_id: string | null
  received_at: string
  method: string
  path: string
  ip: string | null
  headers: string
  status: number
  outcome: string
  reason: string | null
  message: string | null
  /** The rule that decided; null where nothing was decided. */
  rule: string | null
  /** What may be wrong with a refused request, for the owner of the source alone. */
  diagnosis: string | null
  /** SHA-256 of the provider's delivery id or of the body, only where the request was accepted (D7). */
  delivery_key: string | null
  incident_id: string | null
  /** When it was accepted, where the plan counts (matching.md L). */
  slot_at: string | null
  /** 1: a slot of the hour; 2: a recovery that passed a full hour; 3: a duplicate. */
  slot_kind: number | null
  /** Sent by our own test button, which says so past the body. */
  drill: number
  /** Ids of the events it made, as JSON. */
  event_ids: string
  body_size: number
  body: Buffer | null
  /** Of requests before 0012: hash of the shared text that was cut out of the body, and at which byte. */
  body_text: string | null
  body_text_at: number | null
  /** The earlier request whose body begins and ends with as many bytes of this one; null where it is whole. */
  body_like: string | null
  body_start: number | null
  body_end: number | null
}

/** Text of events that many of them share. */
export interface SharedTextTable {
  project_id: string
  hash: string
  text: string
}

export interface EventTable {
  id: string
  project_id: string
  position: number
  request_id: string
  source_id: string
  signal_id: string | null
  incident_id: string | null
  kind: string
  outcome: string
  /** The rule path, comma-separated; the last one decided. */
  receipt: string
  title: string
  description: string | null
  severity: string
  source_severity: string | null
  source_status: string | null
  event_time: string
  source_time: string | null
  received_at: string
  external_id: string | null
  /** Deduplication (D2): hash of what identifies the event, and the number of the firing stretch. */
  event_key: string | null
  stretch: number
  url: string | null
  /** The rest of the event as JSON: labels, monitor, evidence, episode, flags … */
  data: string
  duplicate_count: number
  /** Of its last repeat; empty until there is one. */
  last_seen_at: string
  /** The part of the project's log it was written in (incident-chunk.ts); 0 for what was there before 0015. */
  chunk: number
}

export interface SignalTable {
  id: string
  project_id: string
  source_id: string
  key: string
  drill: number
  title: string
  title_hash: string
  monitor_id: string | null
  monitor_name: string | null
  monitor_url: string | null
  /** Firing stretches counted so far, for senders without episodes. */
  counter: number
  /** The incident of its newest occurrence. */
  incident_id: string | null
  /** Hash of the newest body, its arrival and its event (D5, D6). */
  last_body_hash: string | null
  last_received_at: string
  last_event_id: string | null
  newest_at: string
  /** Of the shared text of its newest event that has one: that is stored already. */
  text_hash: string | null
}

export interface OccurrenceTable {
  id: string
  project_id: string
  signal_id: string
  source_id: string
  /** Null for an orphan recovery, which waits for its fire (R5). */
  incident_id: string | null
  episode: string
  stretch: number
  fired_at: string | null
  /** Time to order by, where it differs from fired_at. */
  order_at: string | null
  fired_time_inferred: number
  fired_received_at: string | null
  recovered_at: string | null
  recovered_time_inferred: number
  recovered_received_at: string | null
  /** recover, episode, group, incident, manual. */
  closed_by: string | null
  /** The sender's recovery of an occurrence a person had closed (H2). */
  sender_recovered_at: string | null
  severity: string
  sender_group: string | null
  /** Only where a recovery may be found by its title (R3). */
  title_hash: string | null
  anonymous: number
  monitor_id: string | null
  explicit_reopen: number
  late: number
  /** The part of the project's log it was written in (incident-chunk.ts); 0 for what programs of before 0016 wrote. */
  chunk: number
  /** The second of fired_at, where it is to be found by that (signal-second.ts). */
  fired_second: number | null
}

/** A second in which a signal has occurrences, or had before they moved (signal-second.ts). */
export interface SignalSecondTable {
  signal_id: string
  second: number
}

export interface IncidentTable {
  id: string
  project_id: string
  number: number
  group_key: string
  /** 1 or NULL; at most one current incident per key, by unique index. */
  accepts_new: number | null
  status: string
  title: string
  severity: string
  max_severity: string
  source_severity: string | null
  drill: number
  /** Made by hand: resolves only by hand (H5). */
  manual: number
  customer_impact: number
  services: string
  labels: string
  metadata: string
  url: string | null
  started_at: string
  detected_at: string
  opened_at: string
  acknowledged_at: string | null
  /** Milliseconds from its detection to its first acknowledgement, which a reopening does not clear. */
  acknowledged_after_ms: number | null
  resolved_at: string | null
  /** auto, manual; null while open. */
  resolved_by: string | null
  /** Start of the current or last open stretch. */
  stretch_started_at: string
  /** Latest recovery of the current stretch, for the time of the resolution. */
  last_recovered_at: string | null
  /** Milliseconds of the closed stretches. */
  duration_ms: number
  /** End of resolveGrace; null where none runs. */
  resolve_due_at: string | null
  signal_count: number
  firing_critical: number
  firing_high: number
  firing_medium: number
  firing_low: number
  firing_info: number
  event_count: number
  reopen_count: number
  /** Number of its last transition. */
  sequence: number
  /** Arrival of the last fire or recover (M3). */
  last_event_at: string
  updated_at: string
  /** The chunk it was noted in last. */
  chunk: number
  /** The chunk its occurrences were noted in last. */
  occurrence_chunk: number
}

/** In which chunks of its project's log an incident has events or entries of its timeline, or occurrences (incident-chunk.ts). */
export interface IncidentChunkTable {
  incident_id: string
  chunk: number
}

export interface TimelineEntryTable {
  id: string
  project_id: string
  incident_id: string
  at: string
  kind: string
  sequence: number | null
  actor: string
  text: string
  request_id: string | null
  event_ids: string
  chunk: number
}

/** Entries of the ordered log that are no events: human actions, due transitions, policy changes. */
export interface LogEntryTable {
  project_id: string
  position: number
  at: string
  kind: string
  incident_id: string | null
  data: string
}

export interface SenderGroupTable {
  source_id: string
  group_key: string
  fingerprint: string
  /** "partial" was said once (R2). */
  partial: number
}

export interface IdempotencyTable {
  /** SHA-256 of the caller's key and the text it sent. */
  key: string
  /** The project in whose address the write was; null at /projects. */
  project_id: string | null
  /** SHA-256 of method, address and body. */
  request_hash: string
  created_at: string
  /** Status and body, or what its changes answered so far; sealed (secrets.ts). Null only inside a transaction. */
  answer: string | null
}

export interface SettingTable {
  name: string
  value: string
}

/** Where messages of a project go, and how sending there has gone lately. */
export interface EndpointTable {
  id: string
  project_id: string
  url: string
  description: string | null
  enabled: number
  /** Why it was switched off: by_hand, gone, failed, no_success; null while it is on, and where it was deleted so. */
  disabled_reason: string | null
  /** It is deleted, but until then whoever creates one with its URL gets it back; null: it is not deleted. */
  kept_until: string | null
  policy: string
  /** Which transitions it asked for, as JSON (outbox.ts). */
  filters: string
  /** A second signature header, as JSON; null for none. */
  signature: string | null
  created_at: string
  /** State of the breaker, as JSON (retry-policy.ts). */
  breaker: string
  /** From the breaker: nothing but a probe before this; null where it is closed. */
  open_until: string | null
  /** The receiver asked for peace until then. */
  paused_until: string | null
  /** First failed attempt since the last success. */
  failing_since: string | null
  warned_at: string | null
  last_success_at: string | null
  last_failure_at: string | null
  /** Messages that ended so, and attempts made. */
  delivered: number
  failed: number
  attempts: number
}

export interface EndpointSecretTable {
  id: string
  endpoint_id: string
  project_id: string
  sealed: string
  created_at: string
  /** End of the overlap after a rotation; null for the current one. */
  expires_at: string | null
}

/** One transition for one endpoint. The id is its `webhook-id`. */
export interface MessageTable {
  id: string
  project_id: string
  endpoint_id: string
  type: string
  /** With the endpoint, the lane in which messages go out one after the other; null: alone. */
  incident_id: string | null
  sequence: number | null
  /** pending, delivered, failed. */
  status: string
  /** Why it failed for good: attempts, gone, circuit_open. */
  reason: string | null
  body_id: string
  /** The message before it in its lane failed for good. */
  gap: number
  /** Sent again by hand. */
  replay: number
  created_at: string
  /** From when its policy counts: its making, or its replay. */
  started_at: string
  /** When its last attempt may start at the latest, where the policy has a deadline. */
  deadline_at: string | null
  first_attempt_at: string | null
  /** Since `started_at`. */
  attempts: number
  /**
   * When it may be sent next; under a lease, when that ends. Null where it is done, or waits for the one before it in
   * its lane.
   */
  due_at: string | null
  /** Held by the worker that is sending it; its result counts only with this. */
  lease_token: string | null
}

/** What messages say, once for all that say the same; the id is that of the first of them. */
export interface MessageBodyTable {
  id: string
  project_id: string
  body: string
}

export interface AttemptTable {
  id: string
  project_id: string
  message_id: string
  at: string
  response_status: number | null
  duration_ms: number
  error: string | null
  response_body: string | null
}

export interface PostmortemTable {
  id: string
  project_id: string
  incident_id: string
  /** From 1, without gaps. */
  revision: number
  created_at: string
  /** Name of the key it was made with. */
  created_by: string
  /** Everything else of it, as the API shows it, as JSON. */
  content: string
}

/** What the model answered last for a draft of this form; no revision. */
export interface PostmortemProseTable {
  incident_id: string
  template: string
  audience: string
  project_id: string
  /** Of what was asked: other facts are another question. */
  fingerprint: string
  created_at: string
  /** `Written` as JSON: the page, or why there is none. */
  written: string
}

/** Leave to see a new credential once. */
export interface SecretRevealTable {
  id: string
  project_id: string
  source_id: string
  credential_id: string
  expires_at: string
}

/** Calls of assistants' tools. */
export interface AuditTable {
  id: string
  project_id: string | null
  at: string
  key_id: string
  key_name: string
  tool: string
  arguments: string
  outcome: string
  duration_ms: number
}
