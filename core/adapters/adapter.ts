import type { AddressKind, Grouping, HookRequest, ParsedRequest, SourceSettings } from '../types.ts'

/**
 * Kinds of body besides JSON that says so. `untyped`: JSON without a type or with that of a form, as scripts send it.
 * `any`: whatever it is, the request is taken, and `parse` makes the best of it.
 */
export type BodyKind = 'untyped' | 'form' | 'multipart' | 'text' | 'none' | 'any'

export type OwnSetting = 'mapping' | 'sentryProject'

/** Everything Tocsin knows about one monitoring tool. Pure: no clock, no database, no network. */
export interface Adapter {
  /** Lower-case name in addresses and settings. */
  readonly slug: string
  /** The tool's own name, for people. */
  readonly name: string
  /** Made after the tool's documentation alone: no real request has been seen. */
  readonly experimental?: true
  readonly defaults: {
    address: AddressKind
    grouping: Grouping
    /** Minutes within which a new firing of the same signal reopens its incident; 0: never (matching.md O1). */
    reopenWindowMinutes: number
  }
  /** Methods besides POST. */
  readonly methods?: readonly string[]
  /** Kinds of body besides JSON. */
  readonly bodies?: readonly BodyKind[]
  /** Settings that not every adapter reads, and this one does. `mapping`: also the parameters of the address. */
  readonly ownSettings?: readonly OwnSetting[]
  /** The tool is known to send again what was answered with a 503, so that it may be told to when much comes at once. */
  readonly repeats?: true
  /** Members at the top of a body that only this tool sends; null: any body may be its own. */
  readonly marks: readonly string[] | null
  /** The address to paste where it is not that of every adapter; `{token}` stands for the token. */
  readonly path?: string
  /** The tool sends to one fixed address (`path`), so what it sends tells the source. */
  readonly dropIn?: DropIn
  /** Generated secrets are as the tool's own field takes them: 32 hex digits. Absent: 43 characters. */
  readonly secretForm?: 'hex32'
  /**
   * Status words it knows that only inform, in lower case; `…*` stands for all that begin so. Any other word of an
   * info event is shown to the owner as unknown (matching.md N2).
   */
  readonly informs?: readonly string[]
  /** Headers that carry a credential: one that arrives twice is refused before `verify` is asked. */
  credentialHeaders(settings: SourceSettings): readonly string[]
  /**
   * Whether this secret vouches for the request when it came to the project address.
   * An empty secret never does. Compares in constant time; a signed time is held against `request.receivedAt`.
   */
  verify(request: HookRequest, secret: string, settings: SourceSettings): boolean
  /** The body where it is not what `readBody` of read-body.ts makes of the bytes. Throws TocsinError. */
  readBody?(request: HookRequest): unknown
  /**
   * One event per alert in the body. Throws ZodError on a shape it does not know.
   * `body` is parsed JSON without prototype keys; undefined where an adapter that takes `any` body got one that cannot
   * be read. `sourceName` is for texts.
   */
  parse(body: unknown, request: HookRequest, settings: SourceSettings, sourceName?: string): ParsedRequest
  /**
   * A request as the tool would send it, for the test button: the same id fires first and recovers after.
   * `at` is the ISO time of the firing, the same for both; `secret` signs the request, `projectId` is for bodies that
   * name it. Null for `recover` where the tool never says so.
   */
  testRequest(kind: 'fire' | 'recover', context: TestContext): TestRequest | null
  /** For people, as cells of a table: what stands for the credential, and which of its messages do what; null: none. */
  readonly says: {
    credential: string
    opens: string
    acknowledges: string | null
    resolves: string | null
    /** What its messages are identified by, for who wants to name things so that they pair. */
    identity: string
    /** Whether it sends again what was not taken. */
    retries: string
  }
  /** What to click in that tool, step by step; `{url}` stands for the address to paste. */
  readonly setup: readonly string[]
}

export interface DropIn {
  /** The credential as it was sent, undefined where there is none. Throws TocsinError where it stands in a broken body. */
  credential(request: HookRequest): string | undefined
  /** The project a body names, undefined where it names none. Absent: the credential alone tells it. */
  projectId?(body: unknown): string | undefined
  /** An API key with `events:write` does as well as the secret of a source. */
  takesApiKey?: true
}

export interface TestContext {
  id: string
  at: string
  secret: string
  projectId: string
  settings: SourceSettings
}

export interface TestRequest {
  headers: Record<string, string>
  body: string
  query?: string
}
