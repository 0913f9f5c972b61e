import type {
  ApiAttempt,
  ApiCredential,
  ApiEndpoint,
  ApiEndpointInput,
  ApiEndpointPatch,
  ApiEvent,
  ApiIncident,
  ApiIncidentInput,
  ApiIncidentQuery,
  ApiIngestion,
  ApiKey,
  ApiKeyInput,
  ApiMessage,
  ApiMessageQuery,
  ApiMetrics,
  ApiMetricsQuery,
  ApiOwnKey,
  ApiPage,
  ApiPostmortem,
  ApiPostmortemInput,
  ApiPreview,
  ApiPreviewInput,
  ApiProject,
  ApiProjectInput,
  ApiProjectPatch,
  ApiReceived,
  ApiReplayRange,
  ApiRequest,
  ApiRequestDetail,
  ApiRequestQuery,
  ApiReveal,
  ApiRotateInput,
  ApiScope,
  ApiSignal,
  ApiSource,
  ApiSourceInput,
  ApiSourcePatch,
  ApiTimelineEntry,
  ApiToolCall,
  ApiToolCallInput,
} from './api-types.ts'
import type { Resolve, TargetRules } from './delivery/targets.ts'
import type { TocsinError } from './errors.ts'
import type { ModelSettings } from './postmortem/model.ts'
import type { HookRequest, Plan } from './types.ts'

/**
 * The use-cases, as one caller may use them: every method checks that caller's scopes and project.
 * `incident` may be an id or a reference such as INC-042. Throws TocsinError: `forbidden` without the scope,
 * `not_found` for what does not exist or belongs to another project.
 */
export interface Tocsin {
  me(): Promise<{ key: ApiOwnKey }>

  createProject(input: ApiProjectInput): Promise<{ project: ApiProject }>
  listProjects(page: ApiPage): Promise<{ projects: ApiProject[]; nextCursor: string | null }>
  getProject(project: string): Promise<{ project: ApiProject }>
  updateProject(project: string, patch: ApiProjectPatch): Promise<{ project: ApiProject }>
  deleteProject(project: string): Promise<void>

  getIngestion(project: string): Promise<{ ingestion: ApiIngestion }>

  createSource(
    project: string,
    input: ApiSourceInput,
  ): Promise<{ source: ApiSource; secret?: string; reveal?: ApiReveal }>
  listSources(project: string, page: ApiPage): Promise<{ sources: ApiSource[]; nextCursor: string | null }>
  getSource(project: string, source: string): Promise<{ source: ApiSource }>
  updateSource(project: string, source: string, patch: ApiSourcePatch): Promise<{ source: ApiSource }>
  deleteSource(project: string, source: string): Promise<void>
  rotateSource(
    project: string,
    source: string,
    input: ApiRotateInput,
  ): Promise<{ source: ApiSource; secret?: string; reveal?: ApiReveal }>
  /** Shows a credential that was made with `reveal`, once; `not_found` afterwards, and after ten minutes. */
  revealSecret(project: string, reveal: string): Promise<{ credential: ApiCredential }>
  /** Sends a request through the real path as a drill that opens and recovers. */
  testSource(
    project: string,
    source: string,
  ): Promise<{
    success: boolean
    reference: string | null
    incidentId: string | null
    answers: ApiReceived[]
  }>

  /** What a body would be read as, and what would come of it now. Stores nothing. */
  previewSource(project: string, input: ApiPreviewInput): Promise<ApiPreview>

  listRequests(
    project: string,
    query: ApiRequestQuery,
  ): Promise<{ requests: ApiRequest[]; nextCursor: string | null }>
  getRequest(project: string, request: string): Promise<{ request: ApiRequestDetail }>
  /** Runs a kept request again, at its original place in time. `dryRun` decides and stores nothing. */
  replayRequest(project: string, request: string, input: { dryRun?: boolean }): Promise<ApiReceived>

  listIncidents(
    project: string,
    query: ApiIncidentQuery,
  ): Promise<{ incidents: ApiIncident[]; nextCursor: string | null; total: number }>
  createIncident(project: string, input: ApiIncidentInput): Promise<{ incident: ApiIncident }>
  getIncident(project: string, incident: string): Promise<{ incident: ApiIncident }>
  listTimeline(
    project: string,
    incident: string,
    page: ApiPage,
  ): Promise<{ timeline: ApiTimelineEntry[]; nextCursor: string | null }>
  listIncidentEvents(
    project: string,
    incident: string,
    page: ApiPage,
  ): Promise<{ events: ApiEvent[]; nextCursor: string | null }>
  listIncidentSignals(
    project: string,
    incident: string,
    page: ApiPage,
  ): Promise<{ signals: ApiSignal[]; nextCursor: string | null }>
  acknowledgeIncident(
    project: string,
    incident: string,
    input: { note?: string },
  ): Promise<{ incident: ApiIncident }>
  resolveIncident(
    project: string,
    incident: string,
    input: { note?: string },
  ): Promise<{ incident: ApiIncident; stillFiring?: number }>
  reopenIncident(
    project: string,
    incident: string,
    input: { note?: string },
  ): Promise<{ incident: ApiIncident }>
  addNote(project: string, incident: string, input: { text: string }): Promise<{ entry: ApiTimelineEntry }>

  /** Drafts from the stored facts, and stores the draft as a new revision unless it is a dry run. */
  draftPostmortem(
    project: string,
    incident: string,
    input: ApiPostmortemInput,
  ): Promise<{ postmortem: ApiPostmortem }>
  /** The latest revision unless told; `not_found` where there is none. */
  getPostmortem(
    project: string,
    incident: string,
    query: { revision?: number },
  ): Promise<{ postmortem: ApiPostmortem }>
  /** Stores a person's text as a new revision; what the facts do not support is flagged, not refused. */
  savePostmortem(
    project: string,
    incident: string,
    input: { markdown: string },
  ): Promise<{ postmortem: ApiPostmortem }>
  getMetrics(project: string, query: ApiMetricsQuery): Promise<ApiMetrics>

  /** The URL a project has already answers that endpoint, unchanged, without a secret. */
  createEndpoint(
    project: string,
    input: ApiEndpointInput,
  ): Promise<{ endpoint: ApiEndpoint; secret: string | null }>
  listEndpoints(
    project: string,
    page: ApiPage,
  ): Promise<{ endpoints: ApiEndpoint[]; nextCursor: string | null }>
  getEndpoint(project: string, endpoint: string): Promise<{ endpoint: ApiEndpoint }>
  /** A new host gets a new secret, answered this once; else `secret` is absent. */
  updateEndpoint(
    project: string,
    endpoint: string,
    patch: ApiEndpointPatch,
  ): Promise<{ endpoint: ApiEndpoint; secret?: string }>
  /** Kept for some minutes, it comes back with what waited where an endpoint with its URL is created. */
  deleteEndpoint(project: string, endpoint: string, query?: { keepMinutes?: number }): Promise<void>
  rotateEndpoint(
    project: string,
    endpoint: string,
    input: { overlapMinutes?: number },
  ): Promise<{ endpoint: ApiEndpoint; secret: string }>
  /** Sends a message of type `test` through the real path; its attempts tell how it went. */
  testEndpoint(project: string, endpoint: string): Promise<{ message: ApiMessage }>
  listMessages(
    project: string,
    endpoint: string,
    query: ApiMessageQuery,
  ): Promise<{ messages: ApiMessage[]; nextCursor: string | null }>
  getMessage(project: string, message: string): Promise<{ message: ApiMessage; attempts: ApiAttempt[] }>
  replayMessage(project: string, message: string): Promise<{ message: ApiMessage }>
  /** Sends ended messages of a range again, in order and with the same ids. */
  replayEndpoint(project: string, endpoint: string, input: ApiReplayRange): Promise<{ replayed: number }>

  createKey(project: string, input: ApiKeyInput): Promise<{ key: ApiKey; secret: string }>
  listKeys(project: string, page: ApiPage): Promise<{ keys: ApiKey[]; nextCursor: string | null }>
  deleteKey(project: string, key: string): Promise<void>

  /** Any key may record its own calls. */
  recordToolCall(input: ApiToolCallInput): Promise<void>
  /** Newest first, of the last 90 days; with those of no project for keys of all projects. */
  listToolCalls(
    project: string,
    page: ApiPage,
  ): Promise<{ toolCalls: ApiToolCall[]; nextCursor: string | null }>
}

/** Who is calling: an API key, or the process itself. */
export interface Caller {
  keyId: string
  name: string
  scopes: readonly ApiScope[]
  /** Null: all projects. */
  projectId: string | null
}

/** A write sent under an `Idempotency-Key`. */
export interface OnceRequest {
  key: string
  /** Hash of method, address and body: what makes two requests the same. */
  requestHash: string
  /** The project in whose address it is; null where there is none. */
  projectId: string | null
}

export interface OnceAnswer {
  status: number
  /** JSON text; null where the answer has no body. */
  body: string | null
}

/** Where a webhook arrived. */
export type ReceiveAddress =
  | { kind: 'project'; projectId: string; adapter: string; sourceId: string | null }
  /** `adapter` is null at /webhooks/{token}, where the source knows it. */
  | { kind: 'token'; token: string; adapter: string | null }
  /** The one address of a drop-in adapter: what is sent tells the source. */
  | { kind: 'drop-in'; adapter: string; sourceId: string | null }

/** The native answer, and what an address that answers in another sender's shape needs besides. */
export type Received = ApiReceived & {
  requestId: string
  /** The sender's name for what it spoke of (`incident_id`, `dedup_key`). */
  echo?: string
}

/** One line of the process's log; `fields` never hold a secret or text of a payload. */
export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, unknown>,
) => void

export interface OpenOptions {
  /** `sqlite:<path>` or `postgres://…`. */
  databaseUrl: string
  /** 32 bytes; encrypts stored secrets. */
  secretKey: Buffer
  /** Base of every generated address, without a trailing slash. */
  publicUrl: string
  /** Plan of new projects. */
  defaultPlan: Plan
  /** Given instead of generated: the admin key of the first start, at least 24 characters. */
  adminKey?: string
  /** Minimum milliseconds between commits (group commit); default 2. */
  commitIntervalMs?: number
  /** Changes that may share a commit; default 256. */
  mostPerCommit?: number
  /** How long rejections of strangers wait to be stored together; default 250. */
  strangerDelayMs?: number
  /** `ingest` sends nothing and keeps no time; default `all`. */
  role?: 'all' | 'ingest' | 'worker'
  /** Where outgoing webhooks may go besides public addresses; default nowhere. */
  targets?: TargetRules
  /** Looks up host names; default by DNS. */
  resolve?: Resolve
  /** Writes prose of post-mortems; default none. */
  model?: ModelSettings
  /** Default that of the database. */
  now?: () => Date
  log?: Log
  /** Breaks off an opening that waits for another process's lock on a file. */
  signal?: AbortSignal
}

export interface FirstStart {
  /** Null where it was given. */
  adminKey: string | null
  projectId: string
  /** Of the generic source. */
  sourceSecret: string
}

/** An open Tocsin: the database, its writer queue and the use-cases. */
export interface OpenedTocsin {
  /** What this start made, being the first; null on later starts. Whoever shows it says so by `firstStartShown`. */
  readonly firstStart: FirstStart | null
  /** What the first start made, as long as nobody has shown it: that one ended before, or is about to show it. */
  firstStartLeft(): Promise<FirstStart | null>
  /** It was shown to its end, and is forgotten. */
  firstStartShown(): Promise<void>
  /** The project and generic source of the first start, as long as they exist. */
  readonly defaultProjectId: string | null
  /** The use-cases as this caller may use them. */
  actingAs(caller: Caller): Tocsin
  /** The caller behind `Authorization: Bearer <key>`; undefined where the key is unknown or expired. */
  authenticateKey(key: string): Promise<Caller | undefined>
  /**
   * Runs a write under an `Idempotency-Key`, or answers what the same one of this caller was answered in the last 24
   * hours, also where that answer was never given: its change and its key are one commit. What is refused has done
   * nothing, and the next one under its key runs. Throws `conflict` where the key stands for another request, or where
   * the same one is still under way (then with `retryAfterSeconds`).
   */
  once(
    caller: Caller,
    request: OnceRequest,
    write: (tocsin: Tocsin) => Promise<OnceAnswer>,
  ): Promise<OnceAnswer & { replayed: boolean }>
  /**
   * Receives one webhook: authenticate, parse, match, commit. Resolves after the commit. Throws TocsinError with the
   * code of the table in design.md 5 (and `requestId` where the request log has it); never another error.
   * `refusal` is a fault of the body the edge has found already (too large, content-encoding): the request is
   * authenticated as far as its headers and address allow, logged, and then refused with it.
   */
  receive(request: HookRequest, address: ReceiveAddress, refusal?: TocsinError): Promise<Received>
  /** Whether the database answers and takes writes. */
  isReady(): Promise<boolean>
  /** The time it goes by: that of PostgreSQL where several machines share one. */
  now(): Date
  /**
   * Takes up nothing more to send; once `after` has come, takes no more changes, finishes what was accepted and closes
   * the database. Gives up on what is not done after `limitMs` (default never). Each part is tried whatever became of
   * the others; then it rejects with an Error whose message names, without any secret, those that were left.
   */
  close(options?: { after?: Promise<unknown>; limitMs?: number }): Promise<void>
}
