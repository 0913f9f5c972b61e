import type { Selectable } from 'kysely'
import type { ApiKey, ApiKeyInput, ApiOwnKey, ApiPage, ApiScope } from '../api-types.ts'
import { TocsinError } from '../errors.ts'
import type { ApiKeyTable } from '../store/schema.ts'
import { hashToken, newSecret } from '../store/secrets.ts'
import { insertRows, run, statement } from '../store/statement.ts'
import type { Caller } from '../tocsin.ts'
import { allow, type Core, change, cutPage, readPage } from './core.ts'
import { keepProject, projectRow } from './projects.ts'

const keyByHash = statement<{ hash: string }, Selectable<ApiKeyTable>>((db, p) =>
  db.selectFrom('api_key').selectAll().where('hash', '=', p('hash')),
)

/** The caller behind a key as it was sent; undefined where it is unknown or expired. */
export async function authenticateKey(
  core: Pick<Core, 'database' | 'now'>,
  key: string,
): Promise<Caller | undefined> {
  if (key === '') return undefined
  const [row] = await core.database.query(keyByHash, { hash: hashToken(key) })
  if (!row || (row.expires_at !== null && row.expires_at <= core.now().toISOString())) return undefined
  return {
    keyId: row.id,
    name: row.name,
    scopes: JSON.parse(row.scopes) as ApiScope[],
    projectId: row.project_id,
  }
}

/** The key that calls; it may know the name of its project, whatever its scopes. */
export async function ownKey(core: Core, caller: Caller): Promise<{ key: ApiOwnKey }> {
  const { keyId: id, name, scopes, projectId } = caller
  const projectName = projectId === null ? null : (await projectRow(core, projectId)).name
  return { key: { id, name, scopes: [...scopes], projectId, projectName } }
}

export async function createKey(
  core: Core,
  caller: Caller,
  projectId: string,
  input: ApiKeyInput,
): Promise<{ key: ApiKey; secret: string }> {
  allow(caller, 'admin', projectId)
  await projectRow(core, projectId)
  if (input.expiresAt !== undefined && Date.parse(input.expiresAt) <= core.now().getTime()) {
    throw new TocsinError(
      'invalid_request',
      'expiresAt: is past already. Give a time to come, or leave it out.',
    )
  }
  const secret = `tocsin_${newSecret(core.random)}`
  const row = keyRow(core, { ...input, projectId, secret })
  const made = await change(core, function* () {
    yield* keepProject(projectId)
    yield* insertRows('api_key', [row])
    return { row, secret }
  })
  return { key: toApi(made.row), secret: made.secret }
}

export function keyRow(
  core: Pick<Core, 'newId' | 'now'>,
  input: ApiKeyInput & { projectId: string | null; secret: string },
): Selectable<ApiKeyTable> {
  return {
    id: core.newId(),
    project_id: input.projectId,
    name: input.name,
    hash: hashToken(input.secret),
    scopes: JSON.stringify([...new Set(input.scopes)]),
    created_at: core.now().toISOString(),
    expires_at: input.expiresAt === undefined ? null : new Date(input.expiresAt).toISOString(),
  }
}

export async function listKeys(
  core: Core,
  caller: Caller,
  projectId: string,
  page: ApiPage,
): Promise<{ keys: ApiKey[]; nextCursor: string | null }> {
  allow(caller, 'admin', projectId)
  await projectRow(core, projectId)
  const { limit, after } = readPage(page)
  let query = core.database.read
    .selectFrom('api_key')
    .selectAll()
    .where('project_id', '=', projectId)
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (after !== undefined) query = query.where('id', '<', after)
  const { page: rows, nextCursor } = cutPage(await query.execute(), limit)
  return { keys: rows.map(toApi), nextCursor }
}

const removeKey = statement<{ projectId: string; id: string }, unknown>((db, p) =>
  db.deleteFrom('api_key').where('project_id', '=', p('projectId')).where('id', '=', p('id')),
)

export async function deleteKey(core: Core, caller: Caller, projectId: string, id: string): Promise<void> {
  allow(caller, 'admin', projectId)
  await change(core, function* () {
    if ((yield* run(removeKey, { projectId, id })) > 0) return
    throw new TocsinError('not_found', 'key: no such key in this project.')
  })
}

function toApi(row: Selectable<ApiKeyTable>): ApiKey {
  return {
    id: row.id,
    name: row.name,
    scopes: JSON.parse(row.scopes) as ApiScope[],
    projectId: row.project_id,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  }
}
