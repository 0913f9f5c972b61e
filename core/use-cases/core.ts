import type { Selectable } from 'kysely'
import type { ApiPage, ApiScope } from '../api-types.ts'
import type { Command } from '../commands.ts'
import type { Resolve, TargetRules } from '../delivery/targets.ts'
import type { Directory } from '../directory.ts'
import { TocsinError } from '../errors.ts'
import type { Picture } from '../matcher/picture.ts'
import type { Actor, MatchContext } from '../matcher/state.ts'
import { Outbox } from '../outbox.ts'
import type { Model } from '../postmortem/model.ts'
import type { Receive } from '../receive.ts'
import type { Database } from '../store/open-database.ts'
import { savePicture } from '../store/picture.ts'
import type { ProjectTable } from '../store/schema.ts'
import type { Random } from '../store/secrets.ts'
import { databaseKind, type Work } from '../store/statement.ts'
import type { Writer } from '../store/writer.ts'
import type { Caller } from '../tocsin.ts'
import type { Plan } from '../types.ts'

/** What the use-cases stand on. */
export interface Core {
  database: Database
  writer: Writer<Command, unknown>
  directory: Directory
  receive: Receive
  secretKey: Buffer
  publicUrl: string
  defaultPlan: Plan
  newId: () => string
  now: () => Date
  random: Random
  context: () => MatchContext
  /** Where outgoing webhooks may go. */
  targets: TargetRules
  resolve: Resolve
  /** Writes prose of post-mortems; null where none is configured. */
  model: Model | null
  /** Something was put into the outbox. */
  onMessages: () => void
  /** A project or an endpoint was deleted: what is left of it is to be forgotten. */
  onGone: () => void
  /** The write under an `Idempotency-Key` this is part of; null where there is none. */
  once: Once | null
}

/** What a write under an `Idempotency-Key` changes, kept with its key in the same commit. */
export interface Once {
  /** Runs a change, or answers what it answered when this write made it before. */
  change<T>(run: (context: MatchContext) => Work<T>): Promise<T>
}

/** Saves one decision of a person or of time, with the messages that tell of it. */
export function* saveDecision(
  core: Pick<Core, 'onMessages'>,
  picture: Picture,
  projects: ReadonlyMap<string, Selectable<ProjectTable>>,
  context: MatchContext,
): Work<void> {
  const outbox = new Outbox(picture, projects)
  outbox.note()
  yield* savePicture(picture, yield* databaseKind())
  if ((yield* outbox.save(context)) > 0) core.onMessages()
}

/**
 * Runs a change through the writer queue and answers what it answers, after the commit. Under an `Idempotency-Key` a
 * repeat is answered the same without a second run: so what was made up for it, such as ids and secrets, must be in that
 * answer, as plain JSON.
 */
export async function change<T>(core: Core, run: (context: MatchContext) => Work<T>): Promise<T> {
  if (core.once) return core.once.change(run)
  return (await core.writer.submit({ kind: 'work', run })) as T
}

/** Refuses a caller without the scope, or whose key belongs to another project: that one's projects do not exist. */
export function allow(caller: Caller, scope: ApiScope, projectId?: string): void {
  if (projectId !== undefined && caller.projectId !== null && caller.projectId !== projectId) {
    throw new TocsinError(
      'not_found',
      'project: no such project. List those the key opens at /api/v1/projects.',
    )
  }
  if (!can(caller, scope)) {
    throw new TocsinError(
      'forbidden',
      `The key "${caller.name}" lacks the scope ${scope}. Use a key that has it.`,
    )
  }
}

export function can(caller: Caller, scope: ApiScope): boolean {
  return caller.scopes.includes(scope) || caller.scopes.includes('admin')
}

export function actorOf(caller: Caller): Actor {
  return { type: 'key', id: caller.keyId, name: caller.name }
}

const DEFAULT_LIMIT = 20

/** A page's size, and the id its cursor stands at. */
export function readPage({ limit, cursor }: ApiPage): { limit: number; after: string | undefined } {
  return { limit: limit ?? DEFAULT_LIMIT, after: readCursor(cursor, /^[0-9a-f-]{36}$/)?.[0] }
}

/** As readPage, in a list by chunk and id. */
export function readChunkPage({ limit, cursor }: ApiPage): { limit: number; after: InChunk | undefined } {
  const place = readCursor(cursor, /^(\d{1,9})\/([0-9a-f-]{36})$/)
  return { limit: limit ?? DEFAULT_LIMIT, after: place && { chunk: Number(place[1]), id: place[2]! } }
}

/** A place in a list by chunk and id (store/incident-chunk.ts). */
interface InChunk {
  chunk: number
  id: string
}

function readCursor(cursor: string | undefined, form: RegExp): RegExpExecArray | undefined {
  if (cursor === undefined) return undefined
  const place = form.exec(Buffer.from(cursor, 'base64url').toString('utf8'))
  if (place) return place
  throw new TocsinError(
    'invalid_request',
    'cursor: not one of ours. Take nextCursor of the page before, unchanged.',
  )
}

/** Cuts the one row asked for beyond the page, which tells whether there is more. */
export function cutPage<T extends { id: string }>(
  rows: T[],
  limit: number,
  placeOf: (row: T) => string = (row) => row.id,
): { page: T[]; nextCursor: string | null } {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  const more = rows.length > limit && last !== undefined
  return { page, nextCursor: more ? Buffer.from(placeOf(last)).toString('base64url') : null }
}

/** As cutPage, in a list by chunk and id. */
export function cutChunkPage<T extends InChunk>(rows: T[], limit: number) {
  return cutPage(rows, limit, ({ chunk, id }) => `${chunk}/${id}`)
}
