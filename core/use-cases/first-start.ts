import { adapterBySlug } from '../adapters/registry.ts'
import { newProjectId } from '../ids.ts'
import { keyCheck, newSecret, openSecret, sealSecret } from '../store/secrets.ts'
import { all, insertRows, run, statement, type Work } from '../store/statement.ts'
import type { FirstStart, OpenedTocsin } from '../tocsin.ts'
import { type Core, change } from './core.ts'
import { keyRow } from './keys.ts'
import { defaultProjectId } from './projects.ts'
import { newSource } from './sources.ts'

/** The setting that holds what is still to be shown. It holds secrets, so it is sealed, and goes once they were shown. */
const TO_SHOW = 'first_start'
const PLACE = `setting/${TO_SHOW}/value`

const settingByName = statement<{ name: string }, { value: string }>((db, p) =>
  db.selectFrom('setting').select('value').where('name', '=', p('name')),
)

const dropSetting = statement<{ name: string }, unknown>((db, p) =>
  db.deleteFrom('setting').where('name', '=', p('name')),
)

/** Project `default` with a generic source and an admin key, once; of several processes that start, one makes them. */
export async function firstStartOf(
  core: Core,
  givenKey: string | undefined,
): Promise<Pick<OpenedTocsin, 'firstStart' | 'defaultProjectId'>> {
  const adminKey = givenKey === undefined ? `tocsin_${newSecret(core.random)}` : null
  const check = keyCheck(core.secretKey)
  const projectId = newProjectId()
  const made = newSource(core, { projectId, adapter: adapterBySlug('generic')!, name: 'generic' })
  const firstStart: FirstStart = { adminKey, projectId, sourceSecret: made.secret }
  const toShow = sealSecret(core.secretKey, JSON.stringify(firstStart), PLACE, core.random)

  const known = await change(core, function* () {
    const taken = yield* insertRows('setting', [{ name: 'key_check', value: check }], {
      onConflict: { do: 'ignore', columns: ['name'] },
    })
    if (taken === 0) {
      const [stored] = yield* all(settingByName, { name: 'key_check' })
      return { isFirst: false, check: stored!.value, defaultProjectId: yield* defaultProjectId() }
    }
    yield* insertRows('setting', [
      { name: 'default_project', value: projectId },
      { name: TO_SHOW, value: toShow },
    ])
    yield* insertRows('project', [
      {
        id: projectId,
        name: 'default',
        plan: core.defaultPlan,
        policy: '{}',
        ingestion_enabled: 1,
        config_version: 1,
        log_position: 0,
        last_incident_number: 0,
        created_at: core.now().toISOString(),
      },
    ])
    yield* insertRows('source', [made.source])
    yield* insertRows('source_credential', [made.credential])
    if (adminKey !== null) yield* insertAdminKey(core, adminKey)
    return { isFirst: true, check, defaultProjectId: projectId }
  })
  if (known.check !== check) {
    throw new Error(
      'TOCSIN_SECRET_KEY: not the key this database was made with. Start with that key, or restore its key file.',
    )
  }
  // A key given by setting is valid from this start on.
  if (givenKey !== undefined) await change(core, () => insertAdminKey(core, givenKey))
  return { firstStart: known.isFirst ? firstStart : null, defaultProjectId: known.defaultProjectId }
}

/** It names no scope but `admin`, which implies the others; so an assistant that is given it still sees no secrets. */
function* insertAdminKey(core: Core, secret: string): Work<void> {
  const row = keyRow(core, { name: 'admin', scopes: ['admin'], projectId: null, secret })
  yield* insertRows('api_key', [row], { onConflict: { do: 'ignore', columns: ['hash'] } })
}

/** What no start has shown to its end. */
export async function firstStartLeft(core: Core): Promise<FirstStart | null> {
  const [left] = await core.database.query(settingByName, { name: TO_SHOW })
  return left ? (JSON.parse(openSecret(core.secretKey, left.value, PLACE)) as FirstStart) : null
}

export async function firstStartShown(core: Core): Promise<void> {
  await change(core, function* () {
    yield* run(dropSetting, { name: TO_SHOW })
  })
}
