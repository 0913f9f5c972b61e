import type { AddressKind, Grouping, HookRequest, ParsedRequest, SourceSettings } from '../types.ts'

/** Everything Tocsin knows about one monitoring tool. Pure: no clock, no database, no network. */
export interface Adapter {
  /** Lower-case name in addresses and settings. */
  readonly slug: string
  /** The tool's own name, for people. */
  readonly name: string
  readonly defaults: {
    address: AddressKind
    grouping: Grouping
    /** Minutes within which a new firing of the same signal reopens its incident; 0: never (matching.md O1). */
    reopenWindowMinutes: number
  }
  /** Methods besides POST. */
  readonly methods?: readonly string[]
  /**
   * Status words it knows that only inform, in lower case; `…*` stands for all that begin so. Any other word of an
   * info event is shown to the owner as unknown (matching.md N2).
   */
  readonly informs?: readonly string[]
  /** Headers that carry a credential: one that arrives twice is refused before `verify` is asked. */
  credentialHeaders(settings: SourceSettings): readonly string[]
  /**
   * Whether this secret vouches for the request when it came to the project address.
   * An empty secret never does. Compares in constant time.
   */
  verify(request: HookRequest, secret: string, settings: SourceSettings): boolean
  /**
   * One event per alert in the body. Throws ZodError on a shape it does not know.
   * `body` is parsed JSON without prototype keys.
   */
  parse(body: unknown, request: HookRequest, settings: SourceSettings): ParsedRequest
  /**
   * A request as the tool would send it, for the test button: the same id fires first and recovers after.
   * `at` is the ISO time of the firing, the same for both; `secret` signs the request. Null for `recover` where the tool never says so.
   */
  testRequest(
    kind: 'fire' | 'recover',
    context: { id: string; at: string; secret: string; settings: SourceSettings },
  ): { headers: Record<string, string>; body: string } | null
  /** What to click in that tool, step by step; `{url}` stands for the address to paste. */
  readonly setup: readonly string[]
}
