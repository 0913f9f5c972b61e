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
  ApiPage,
  ApiPostmortem,
  ApiPostmortemInput,
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
  ApiSignal,
  ApiSource,
  ApiSourceInput,
  ApiSourcePatch,
  ApiTimelineEntry,
  ApiToolCall,
  ApiToolCallInput,
} from '@tocsin/core'
import { expect, expectTypeOf, test } from 'vitest'
import type { z } from 'zod'
import type * as schemas from '../../ingest/schemas.ts'
import { KeyInput, ProjectInput } from '../../ingest/schemas.ts'

/** Written out member by member, so that an intersection equals the object it comes to. */
type Flat<T> = T extends object ? { [Name in keyof T]: Flat<T[Name]> } : T

type Read<Name extends keyof typeof schemas> =
  (typeof schemas)[Name] extends z.ZodType<infer Output> ? Flat<Output> : never

// Checked by the compiler: a schema and its type in core's api-types.ts say the same.
test('every schema reads exactly the type of the API', () => {
  expectTypeOf<Read<'Page'>>().toEqualTypeOf<Flat<ApiPage>>()
  expectTypeOf<Read<'Project'>>().toEqualTypeOf<Flat<ApiProject>>()
  expectTypeOf<Read<'ProjectInput'>>().toEqualTypeOf<Flat<ApiProjectInput>>()
  expectTypeOf<Read<'ProjectPatch'>>().toEqualTypeOf<Flat<ApiProjectPatch>>()
  expectTypeOf<Read<'Source'>>().toEqualTypeOf<Flat<ApiSource>>()
  expectTypeOf<Read<'SourceInput'>>().toEqualTypeOf<Flat<ApiSourceInput>>()
  expectTypeOf<Read<'SourcePatch'>>().toEqualTypeOf<Flat<ApiSourcePatch>>()
  expectTypeOf<Read<'RotateInput'>>().toEqualTypeOf<Flat<ApiRotateInput>>()
  expectTypeOf<Read<'Reveal'>>().toEqualTypeOf<Flat<ApiReveal>>()
  expectTypeOf<Read<'Credential'>>().toEqualTypeOf<Flat<ApiCredential>>()
  expectTypeOf<Read<'Ingestion'>>().toEqualTypeOf<Flat<ApiIngestion>>()
  expectTypeOf<Read<'Received'>>().toEqualTypeOf<Flat<ApiReceived>>()
  expectTypeOf<Read<'Signal'>>().toEqualTypeOf<Flat<ApiSignal>>()
  expectTypeOf<Read<'Incident'>>().toEqualTypeOf<Flat<ApiIncident>>()
  expectTypeOf<Read<'IncidentInput'>>().toEqualTypeOf<Flat<ApiIncidentInput>>()
  expectTypeOf<Read<'IncidentQuery'>>().toEqualTypeOf<Flat<ApiIncidentQuery>>()
  expectTypeOf<Read<'Event'>>().toEqualTypeOf<Flat<ApiEvent>>()
  expectTypeOf<Read<'TimelineEntry'>>().toEqualTypeOf<Flat<ApiTimelineEntry>>()
  expectTypeOf<Read<'HookRequestSummary'>>().toEqualTypeOf<Flat<ApiRequest>>()
  expectTypeOf<Read<'HookRequestDetail'>>().toEqualTypeOf<Flat<ApiRequestDetail>>()
  expectTypeOf<Read<'HookRequestQuery'>>().toEqualTypeOf<Flat<ApiRequestQuery>>()
  expectTypeOf<Read<'Endpoint'>>().toEqualTypeOf<Flat<ApiEndpoint>>()
  expectTypeOf<Read<'EndpointInput'>>().toEqualTypeOf<Flat<ApiEndpointInput>>()
  expectTypeOf<Read<'EndpointPatch'>>().toEqualTypeOf<Flat<ApiEndpointPatch>>()
  expectTypeOf<Read<'Message'>>().toEqualTypeOf<Flat<ApiMessage>>()
  expectTypeOf<Read<'MessageQuery'>>().toEqualTypeOf<Flat<ApiMessageQuery>>()
  expectTypeOf<Read<'Attempt'>>().toEqualTypeOf<Flat<ApiAttempt>>()
  expectTypeOf<Read<'ReplayRange'>>().toEqualTypeOf<Flat<ApiReplayRange>>()
  expectTypeOf<Read<'Postmortem'>>().toEqualTypeOf<Flat<ApiPostmortem>>()
  expectTypeOf<Read<'PostmortemInput'>>().toEqualTypeOf<Flat<ApiPostmortemInput>>()
  expectTypeOf<Read<'Key'>>().toEqualTypeOf<Flat<ApiKey>>()
  expectTypeOf<Read<'KeyInput'>>().toEqualTypeOf<Flat<ApiKeyInput>>()
  expectTypeOf<Read<'ToolCall'>>().toEqualTypeOf<Flat<ApiToolCall>>()
  expectTypeOf<Read<'ToolCallInput'>>().toEqualTypeOf<Flat<ApiToolCallInput>>()
})

test('a policy may be written in part, null for the default', () => {
  const policy = { attachWindowMinutes: null, openAfter: { fires: 3 }, groupBy: ['region'] }
  expect(ProjectInput.parse({ name: 'a', policy })).toEqual({ name: 'a', policy })
  expect(ProjectInput.parse({ name: 'a', policy: { preset: 'literal' } }).policy).toEqual({
    preset: 'literal',
  })
})

test('a time with a zone is kept in UTC', () => {
  const input = { name: 'k', scopes: ['admin'], expiresAt: '2027-01-01T01:00:00+01:00' }
  expect(KeyInput.parse(input).expiresAt).toBe('2027-01-01T00:00:00.000Z')
})
