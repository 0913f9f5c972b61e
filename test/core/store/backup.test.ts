import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { backupDatabase, restoreDatabase } from '@tocsin/core'
import Sqlite from 'better-sqlite3'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { migrations } from '../../../core/store/migrations/index.ts'
import { keyCheck } from '../../../core/store/secrets.ts'
import { scratchDir } from '../../support/scratch.ts'
import { canMount, smallVolume } from '../../support/small-volume.ts'

// What backups do with a database in use: test/end-to-end/backup.test.ts

const key = Buffer.alloc(32, 1)
let dir: string
/** A database that a restore takes for Tocsin's, of 200 kB. */
let path: string
beforeEach(async () => {
  const scratch = await scratchDir()
  dir = scratch.path
  path = join(dir, 'tocsin.db')
  const db = new Sqlite(path)
  db.exec(
    'create table setting (name text, value text); create table message (status, reason, due_at, lease_token)',
  )
  db.exec('create table kysely_migration (name text)')
  db.prepare('insert into kysely_migration values (?)').run(Object.keys(migrations)[0])
  db.prepare('insert into setting values (?, ?), (?, zeroblob(200000))').run(
    'key_check',
    keyCheck(key),
    'big',
  )
  db.close()
  return scratch.remove
})

const backup = (file: string, database = path) => backupDatabase(`sqlite:${database}`, file)
const restore = (file: string, database = join(dir, 'new.db')) =>
  restoreDatabase(`sqlite:${database}`, file, key)
const refusal = (sentence: string) => ({ name: 'TocsinError', message: sentence })

describe('a file that cannot be used is refused in one sentence', () => {
  test('a directory', async () => {
    await expect(restore(dir)).rejects.toMatchObject(refusal(`${dir} is a directory; name a file.`))
    await expect(backup(join(dir, 'copy'), dir)).rejects.toMatchObject(
      refusal(`${dir} is a directory; name a file.`),
    )
    mkdirSync(join(dir, 'copy.part'))
    await expect(backup(join(dir, 'copy'))).rejects.toMatchObject(
      refusal(`${join(dir, 'copy.part')} is a directory; name a file.`),
    )
  })

  test('one that this user may not read or write', async () => {
    const file = join(dir, 'copy')
    await backup(file)
    const closed = join(dir, 'closed')
    mkdirSync(closed)
    const may = (name: string) =>
      refusal(
        `this user may not use ${name}; run the command as the user of Tocsin, or give this one the right to.`,
      )

    chmodSync(dir, 0o755)
    for (const name of [file, path, closed]) chmodSync(name, 0)
    await asNobody(async () => {
      await expect(restore(file)).rejects.toMatchObject(may(file))
      await expect(backup(join(dir, 'other'))).rejects.toMatchObject(may(path))
    })
    for (const name of [file, path]) chmodSync(name, 0o644)
    await asNobody(async () => {
      await expect(backup(join(closed, 'other'))).rejects.toMatchObject(may(join(closed, 'other.part')))
      await expect(restore(file, join(closed, 'new.db'))).rejects.toMatchObject(may(join(closed, 'new.db')))
    })
  })

  test('no database at DATABASE_URL', async () => {
    writeFileSync(path, 'not a database')
    await expect(backup(join(dir, 'copy'))).rejects.toMatchObject(
      refusal(`${path}, which DATABASE_URL names, is no SQLite database.`),
    )
    expect(readdirSync(dir)).toEqual(['tocsin.db'])
  })
})

// Where nothing can be mounted, canMount has said why.
describe.runIf(await canMount('of backups onto a full disk'))('on a full disk', () => {
  test('neither command leaves anything behind', async () => {
    const volume = await smallVolume(1)
    onTestFinished(volume.remove)
    const copy = join(dir, 'copy')
    await backup(copy)
    volume.fill()

    const full = (name: string) =>
      refusal(`there is no room on the disk for ${name}; make some, or use another disk.`)
    const onVolume = join(volume.path, 'copy')
    await expect(backup(onVolume)).rejects.toMatchObject(full(onVolume))
    const restored = join(volume.path, 'new.db')
    await expect(restore(copy, restored)).rejects.toMatchObject(full(restored))
    expect(readdirSync(volume.path)).toEqual(['ballast'])

    volume.free()
    await backup(onVolume)
    expect(await restore(onVolume, restored)).toEqual({ held: 0 })
  })
})

test('a pg_dump older than the server is named with both versions', async () => {
  const said = [
    'pg_dump: error: aborting because of server version mismatch',
    'pg_dump: detail: server version: 18.4; pg_dump version: 15.10',
  ]
  writeFileSync(join(dir, 'pg_dump'), `#!/bin/sh\necho '${said.join('\n')}' >&2\nexit 1\n`, { mode: 0o755 })
  const { PATH } = process.env
  process.env.PATH = `${dir}${delimiter}${PATH}`
  onTestFinished(() => {
    process.env.PATH = PATH
  })
  await expect(backupDatabase('postgres://127.0.0.1:9/none', join(dir, 'copy'))).rejects.toMatchObject(
    refusal(
      'pg_dump failed: aborting because of server version mismatch; server version: 18.4; pg_dump version: 15.10. ' +
        'Install the client programs of PostgreSQL that are as new as the server.',
    ),
  )
})

/** Root may use every file. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  if (process.getuid!() !== 0) return work()
  process.seteuid!('nobody')
  try {
    await work()
  } finally {
    process.seteuid!(0)
  }
}
