import fs, {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
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
      await expect(backup(join(closed, 'other'))).rejects.toMatchObject(may(join(closed, 'other')))
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

describe('what appears under the name meanwhile stays as it is', () => {
  const taken = (file: string) =>
    refusal(`${file} exists: another run has made it meanwhile. Name a file that does not.`)

  test('of two backups to one name the first that is whole stays', async () => {
    const file = join(dir, 'copy')
    let first: Promise<unknown> | undefined
    once('prepare', 'vacuum into ?', () => {
      first = backup(file)
    })
    await expect(backup(file)).rejects.toMatchObject(taken(file))
    expect(await first).toEqual({ bytes: statSync(file).size })
    expect(readdirSync(dir).toSorted()).toEqual(['copy', 'tocsin.db'])
    expect(await restore(file)).toEqual({ held: 0 })
  })

  test('of two backups of PostgreSQL each has a file of its own', async () => {
    const file = join(dir, 'copy')
    // Each begins once both are there, and says in its file which one it was.
    putProgram(
      'pg_dump',
      `for word in "$@"; do case "$word" in --file=*) part="\${word#--file=}";; esac; done
      : > ${dir}/here.$$
      until [ "$(ls ${dir} | grep -c here)" = 2 ] || [ ! -d ${dir} ]; do sleep 0.01; done
      printf %s "$part" >> "$part"`,
    )
    const both = [1, 2].map(() => backupDatabase('postgres://127.0.0.1:9/none', file))
    const ends = await Promise.allSettled(both)
    expect(ends.toSorted((a, b) => (a.status < b.status ? -1 : 1))).toMatchObject([
      { value: { bytes: readFileSync(file).length } },
      { reason: taken(file) },
    ])
    expect(readFileSync(file, 'utf8')).toMatch(/^\S+\.tocsin-[0-9a-f]{12}\.part$/)
    expect(readdirSync(dir).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  test('a Tocsin that has started on the target of a restore keeps its database', async () => {
    const file = join(dir, 'copy')
    await backup(file)
    const target = join(dir, 'new.db')
    once('pragma', 'integrity_check', () => {
      new Sqlite(target).exec('create table started (id)').close()
    })
    await expect(restore(file, target)).rejects.toMatchObject(
      refusal(
        `${target} exists: it was made while the backup was read, as by a start of Tocsin. ` +
          'Stop Tocsin and move its database files away first.',
      ),
    )
    const db = new Sqlite(target)
    expect(db.prepare('select name from sqlite_schema').all()).toEqual([{ name: 'started' }])
    db.close()
  })

  test('where the file system knows no hard links, too', async () => {
    const { linkSync } = fs
    fs.linkSync = () => {
      throw Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' })
    }
    syncBuiltinESMExports()
    onTestFinished(() => {
      fs.linkSync = linkSync
      syncBuiltinESMExports()
    })
    const file = join(dir, 'copy')
    once('prepare', 'vacuum into ?', () => writeFileSync(file, 'of another run'))
    await expect(backup(file)).rejects.toMatchObject(taken(file))
    expect(readFileSync(file, 'utf8')).toBe('of another run')

    await backup(join(dir, 'other'))
    expect(statSync(join(dir, 'other')).mode & 0o777).toBe(0o600)
    expect(await restore(join(dir, 'other'))).toEqual({ held: 0 })
    expect(readdirSync(dir).toSorted()).toEqual(['copy', 'new.db', 'other', 'tocsin.db'])
  })
})

test.each(['-wal', '-shm', '-journal'])(
  'a %s that was left at the target is no part of a restore',
  async (suffix) => {
    const file = join(dir, 'copy')
    await backup(file)
    const left = join(dir, `new.db${suffix}`)
    writeFileSync(left, 'of the database that was here')
    await expect(restore(file)).rejects.toMatchObject(
      refusal(`${left} exists; stop Tocsin and move its database files away first.`),
    )
  },
)

test('what runs that were killed have left goes after a day; nothing else does', async () => {
  const names = ['copy.tocsin-0123456789ab.part', 'new.db.tocsin-ba9876543210.part-journal']
  const others = ['copy.tocsin-aaaaaaaaaaaa.part', 'copy.part', 'film.Xy12ab.part']
  for (const name of [...names, ...others]) writeFileSync(join(dir, name), '')
  const dayAgo = Date.now() / 1000 - 24 * 60 * 60 - 60
  for (const name of [...names, 'copy.part', 'film.Xy12ab.part']) utimesSync(join(dir, name), dayAgo, dayAgo)
  await backup(join(dir, 'copy'))
  expect(readdirSync(dir).toSorted()).toEqual(['copy', ...others, 'tocsin.db'].toSorted())

  for (const name of names) {
    writeFileSync(join(dir, name), '')
    utimesSync(join(dir, name), dayAgo, dayAgo)
  }
  await restore(join(dir, 'copy'))
  expect(readdirSync(dir).toSorted()).toEqual(['copy', 'new.db', ...others, 'tocsin.db'].toSorted())
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
  putProgram('pg_dump', `echo '${said.join('\n')}' >&2\nexit 1`)
  await expect(backupDatabase('postgres://127.0.0.1:9/none', join(dir, 'copy'))).rejects.toMatchObject(
    refusal(
      'pg_dump failed: aborting because of server version mismatch; server version: 18.4; pg_dump version: 15.10. ' +
        'Install the client programs of PostgreSQL that are as new as the server.',
    ),
  )
})

test.each([
  ['uselibpqcompat=true&sslmode=require', 'sslmode=require'],
  ['query_timeout=1000&application_name=a%20b&max=3&keepAlive=true', 'application_name=a%20b'],
  [
    'options=-c+search_path%3Dtocsin&host=%2Frun&password=secret',
    'options=-c%20search_path%3Dtocsin&host=%2Frun',
  ],
  // pg_dump would take the other database, the server takes that of the path.
  ['dbname=other', ''],
  ['sslmode=no-verify', 'sslmode=require'],
  ['ssl=1&sslrootcert=%2Fca.pem', 'sslmode=require&sslrootcert=%2Fca.pem'],
  ['ssl=true&sslmode=verify-full', 'sslmode=verify-full'],
  ['ssl=0', ''],
])('of an address with %s pg_dump is given what it knows: %s', async (given, passed) => {
  putProgram('pg_dump', `printf '%s\n' "$PGPASSWORD" "$@" > ${dir}/words`)
  await backupDatabase(`postgres://me:secret@127.0.0.1:9/none?${given}`, join(dir, 'copy'))
  const [password, address, ...more] = readFileSync(join(dir, 'words'), 'utf8').split('\n')
  expect(password).toBe('secret')
  expect(address).toBe(`--dbname=postgres://me@127.0.0.1:9/none${passed && `?${passed}`}`)
  expect(more.join()).not.toContain('secret')
})

/** The first time SQLite is given this, does something else before. */
function once(method: 'prepare' | 'pragma', text: string, work: () => void): void {
  const real = Sqlite.prototype[method] as (this: Sqlite.Database, ...given: unknown[]) => unknown
  const undo = () => {
    Sqlite.prototype[method] = real as never
  }
  onTestFinished(undo)
  Sqlite.prototype[method] = function (this: Sqlite.Database, ...given: unknown[]) {
    if (given[0] === text) {
      undo()
      work()
    }
    return real.apply(this, given)
  } as never
}

/** Puts a program where it comes before the one of the same name. */
function putProgram(name: string, script: string): void {
  writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const { PATH } = process.env
  process.env.PATH = `${dir}${delimiter}${PATH}`
  onTestFinished(() => {
    process.env.PATH = PATH
  })
}

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
