import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import Sqlite from 'better-sqlite3'
import pg from 'pg'
import { TocsinError } from '../errors.ts'
import { codeOf } from './error-code.ts'
import { migrations } from './migrations/index.ts'
import { sqlitePath } from './open-database.ts'
import { keyCheck } from './secrets.ts'

/**
 * A whole copy of the database while it is in use, in one file: of SQLite a database file (VACUUM INTO), of PostgreSQL an
 * archive of `pg_dump`. It holds no key: the secrets in it stay sealed. Never takes the place of a file. Throws TocsinError
 * with a sentence for the person at the terminal.
 */
export async function backupDatabase(databaseUrl: string, file: string): Promise<{ bytes: number }> {
  if (existsSync(file)) refuse(`${file} exists; name a file that does not.`)
  if (!existsSync(dirname(file))) refuse(`${dirname(file)} is no directory.`)
  const path = sqlitePath(databaseUrl)
  if (path !== undefined) checkDatabase(path)
  const part = onFile(file, () => makePart(file))
  try {
    if (path !== undefined) backupSqlite(path, part, file)
    else
      await runPostgres('pg_dump', databaseUrl, [
        '--format=custom',
        '--no-owner',
        '--no-privileges',
        `--file=${part}`,
      ])
    onFile(file, () =>
      place(part, file, `${file} exists: another run has made it meanwhile. Name a file that does not.`),
    )
    return { bytes: statSync(file).size }
  } finally {
    rmSync(part, { force: true })
  }
}

export interface Restored {
  /** Messages that were waiting to be sent. They are kept as failed, since they may have gone out after the backup. */
  held: number
}

/**
 * Puts a backup in the place of a database that does not exist yet (PostgreSQL: that is empty). Refuses one of the other
 * kind, a damaged one, one made by a newer version, and one whose secrets `secretKey` does not open; then nothing is left
 * behind.
 */
export async function restoreDatabase(
  databaseUrl: string,
  file: string,
  secretKey: Buffer,
): Promise<Restored> {
  const kind = kindOf(file)
  const path = sqlitePath(databaseUrl)
  if (path !== undefined) {
    if (kind === 'postgres') refuse(`${file} is a backup of PostgreSQL, but DATABASE_URL is a SQLite file.`)
    return restoreSqlite(file, path, secretKey)
  }
  if (kind === 'sqlite') refuse(`${file} is a backup of SQLite, but DATABASE_URL is PostgreSQL.`)
  return restorePostgres(file, databaseUrl, secretKey)
}

// ---- SQLite ----

function checkDatabase(path: string): void {
  if (!existsSync(path)) refuse(`there is no database at ${path}.`)
  if (!startOf(path).startsWith(SQLITE)) refuse(`${path}, which DATABASE_URL names, is no SQLite database.`)
}

function backupSqlite(path: string, part: string, file: string): void {
  const db = onFile(path, () => new Sqlite(path, { readonly: true, fileMustExist: true }))
  try {
    onFile(path, () => db.pragma('schema_version'))
    onFile(file, () => db.prepare('vacuum into ?').run(part))
  } finally {
    db.close()
  }
}

function restoreSqlite(file: string, path: string, secretKey: Buffer): Restored {
  // SQLite would take what another database has left beside it for its own.
  for (const suffix of SUFFIXES) {
    if (existsSync(path + suffix)) {
      refuse(`${path + suffix} exists; stop Tocsin and move its database files away first.`)
    }
  }
  return onFile(path, () => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const part = makePart(path)
    try {
      copyFileSync(file, part)
      const held = preparedSqlite(part, file, secretKey)
      place(
        part,
        path,
        `${path} exists: it was made while the backup was read, as by a start of Tocsin. ` +
          'Stop Tocsin and move its database files away first.',
      )
      return { held }
    } finally {
      for (const suffix of SUFFIXES) rmSync(part + suffix, { force: true })
    }
  })
}

/** Of the files of one database. */
const SUFFIXES = ['', '-wal', '-shm', '-journal']

function preparedSqlite(part: string, file: string, secretKey: Buffer): number {
  const db = new Sqlite(part)
  try {
    const whole = db.pragma('integrity_check', { simple: true })
    if (whole !== 'ok') refuse(`${file} is damaged: ${String(whole)}.`)
    const column = (text: string) => db.prepare<[], string>(text).pluck().all()
    checkContents(file, secretKey, column(KEY_CHECK), column(MIGRATIONS))
    return db.prepare(HOLD).run().changes
  } catch (error) {
    if (error instanceof TocsinError || codeOf(error) === 'SQLITE_FULL') throw error
    return refuse(`${file} is damaged or no backup of Tocsin.`, error)
  } finally {
    db.close()
  }
}

// ---- PostgreSQL ----

async function restorePostgres(file: string, databaseUrl: string, secretKey: Buffer): Promise<Restored> {
  checkContents(
    file,
    secretKey,
    await dumped(file, 'setting', 'key_check'),
    await dumped(file, 'kysely_migration'),
  )
  await checkEmpty(databaseUrl)
  return { held: await restoreAndHold(file, databaseUrl) }
}

async function checkEmpty(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query(
      'select count(*)::int as tables from information_schema.tables where table_schema = current_schema()',
    )
    if (rows[0].tables > 0) refuse('the database at DATABASE_URL is not empty; create a new one.')
  } catch (error) {
    if (error instanceof TocsinError) throw error
    refuse(`the database at DATABASE_URL cannot be used (${wordsOf(error)}).`, error)
  } finally {
    await client.end()
  }
}

/**
 * All in one transaction of psql: whatever ends when, no Tocsin sees a message before it is held. Throws `unavailable` where
 * nobody knows whether the server has kept it.
 */
async function restoreAndHold(file: string, databaseUrl: string): Promise<number> {
  const psql = startPostgres('psql', databaseUrl, [
    '--no-psqlrc',
    '--quiet',
    '--tuples-only',
    '--no-align',
    '--set=ON_ERROR_STOP=1',
    '--file=-',
  ])
  const answer = answerOf(psql)
  const unpacking = startPostgres('pg_restore', undefined, [
    '--no-owner',
    '--no-privileges',
    '--file=-',
    file,
  ])
  psql.child.stdin.write('begin;\n')
  const isTaken = await pipeline(unpacking.child.stdout, psql.child.stdin, { end: false }).then(
    () => true,
    () => false,
  )
  const unpacked = await unpacking.ended
  let held: number | undefined
  if (isTaken && unpacked.code === 0) {
    // What was read has left the search path empty.
    psql.child.stdin.write(
      `reset search_path;\nwith held as (${HOLD} returning 1) select 'held ' || count(*) from held;\n`,
    )
    held = await answer
  }
  // Without a commit the server takes all of it back.
  psql.child.stdin.end(held === undefined ? '' : 'commit;\n')
  const done = await psql.ended
  if (held === undefined) {
    // Where psql has ended early, pg_restore fails for that alone.
    if (isTaken) checkEnd('pg_restore', unpacked)
    checkEnd('psql', done)
    return refuse('psql failed: it has ended early.')
  }
  if (done.code === 0 || done.code === REFUSED_BY_SERVER) checkEnd('psql', done)
  else {
    throw new TocsinError(
      'unavailable',
      `The connection to PostgreSQL ended while it was asked to keep the backup, so that is restored whole or not at all (${wordsOfEnd(done)}). ` +
        'Run the same command again: it restores it, or says that the database is not empty; then it is restored, and Tocsin can be started.',
    )
  }
  return held
}

/** What psql ends with where the server has refused a statement. */
const REFUSED_BY_SERVER = 3

/** How many messages psql has held; undefined where it ends before. */
function answerOf({ child }: Running): Promise<number | undefined> {
  let said = ''
  return new Promise((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      const count = /^held (\d+)\n/m.exec(said)?.[1]
      if (count !== undefined) resolve(Number(count))
    })
    child.stdout.on('close', () => resolve(undefined))
  })
}

/** Values of a small table in an archive, read without a server: the first column, or the second of one row. */
async function dumped(file: string, table: string, row?: string): Promise<string[]> {
  const text = await runPostgres('pg_restore', undefined, [
    '--data-only',
    `--table=${table}`,
    '--file=-',
    file,
  ])
  const lines = text.match(/^COPY .*? FROM stdin;\n([\s\S]*?)^\\\.$/m)?.[1]?.split('\n') ?? []
  const cells = lines.filter((line) => line !== '').map((line) => line.split('\t'))
  return row === undefined
    ? cells.map(([name]) => name!)
    : cells.filter(([name]) => name === row).map(([, value]) => value!)
}

/** Runs one of PostgreSQL's own programs and returns what it said. */
async function runPostgres(
  program: string,
  databaseUrl: string | undefined,
  args: string[],
): Promise<string> {
  const { child, ended } = startPostgres(program, databaseUrl, args)
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  child.stdin.end()
  checkEnd(program, await ended)
  return said
}

interface Running {
  child: ChildProcessWithoutNullStreams
  ended: Promise<End>
}

interface End {
  /** Null where it was never started, or a signal ended it. */
  code: number | null
  stderr: string
  error?: Error
}

/** Starts one of them; the password goes by the environment, where `ps` does not show it. */
function startPostgres(program: string, databaseUrl: string | undefined, args: string[]): Running {
  const { url, password } = databaseUrl === undefined ? {} : addressForLibpq(databaseUrl)
  const child = spawn(program, [...(url ? [`--dbname=${url}`] : []), ...args], {
    env: { ...process.env, ...(password && { PGPASSWORD: password }) },
  })
  // Why it takes no more, its end says.
  child.stdin.on('error', () => {})
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<End>((resolve) => {
    child.on('error', (error) => resolve({ code: null, stderr, error }))
    child.on('close', (code) => resolve({ code, stderr }))
  })
  return { child, ended }
}

/**
 * The same server and database as `pg` reads in the address. Its programs refuse parameters they do not know, and of some
 * they think otherwise.
 */
function addressForLibpq(databaseUrl: string): { url: string; password: string } {
  const url = new URL(databaseUrl)
  const password = url.searchParams.get('password') ?? decodeURIComponent(url.password)
  url.password = ''
  const hasMode = url.searchParams.has('sslmode')
  url.search = url.search
    .slice(1)
    .split('&')
    .map((pair) => pair.replaceAll('+', '%20').replace(/^sslmode=no-verify$/, 'sslmode=require'))
    .map((pair) => (hasMode ? pair : pair.replace(/^ssl=(true|1|no-verify)$/, 'sslmode=require')))
    .filter((pair) => KNOWN_TO_LIBPQ.has(pair.split('=')[0]!))
    .join('&')
  return { url: url.href, password }
}

/** https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS, but for what the rest of an address says. */
const KNOWN_TO_LIBPQ = new Set([
  ...['host', 'hostaddr', 'port', 'user', 'passfile', 'service', 'servicefile', 'target_session_attrs'],
  ...['connect_timeout', 'client_encoding', 'options', 'application_name', 'fallback_application_name'],
  ...['keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count', 'tcp_user_timeout'],
  ...['load_balance_hosts', 'require_auth', 'channel_binding', 'scram_client_key', 'scram_server_key'],
  ...['sslmode', 'sslnegotiation', 'sslcompression', 'sslcert', 'sslkey', 'sslpassword', 'sslcertmode'],
  ...['sslrootcert', 'sslcrl', 'sslcrldir', 'sslsni', 'sslkeylogfile', 'requirepeer'],
  ...['ssl_min_protocol_version', 'ssl_max_protocol_version', 'min_protocol_version', 'max_protocol_version'],
  ...['gssencmode', 'krbsrvname', 'gsslib', 'gssdelegation'],
  ...['oauth_issuer', 'oauth_client_id', 'oauth_client_secret', 'oauth_scope'],
])

function checkEnd(program: string, end: End): void {
  if (codeOf(end.error) === 'ENOENT') {
    refuse(`${program} is not on the path; install the client programs of PostgreSQL.`, end.error)
  }
  if (end.code !== 0) refuse(`${program} failed: ${wordsOfEnd(end)}`, end.error)
}

function wordsOfEnd({ code, stderr, error }: End): string {
  if (error) return wordsOf(error)
  return wordsOfPostgres(stderr) || (code === null ? 'it was ended' : `it ended with ${code}`)
}

/** The first thing one of its programs complained of, with the details it gave. */
function wordsOfPostgres(stderr: string): string {
  const [first = '', ...more] = stderr
    .trim()
    .split('\n')
    .map((line) => line.replace(/^(pg_\w+|psql)(:<stdin>:\d+)?: ((error|ERROR|FATAL): +)?/, ''))
  const details = more
    .filter((line) => /^(detail|hint): /i.test(line))
    .map((line) => line.replace(/^\w+: +/, ''))
  const said = [first, ...details].join('; ')
  return said.includes('version mismatch')
    ? `${said}. Install the client programs of PostgreSQL that are as new as the server.`
    : said
}

// ---- shared ----

const KEY_CHECK = "select value from setting where name = 'key_check'"
const MIGRATIONS = 'select name from kysely_migration'
const HOLD =
  "update message set status = 'failed', reason = 'restored', due_at = null, lease_token = null where status = 'pending'"

function checkContents(file: string, secretKey: Buffer, checks: string[], applied: string[]): void {
  if (checks[0] === undefined) refuse(`${file} is no backup of Tocsin.`)
  if (checks[0] !== keyCheck(secretKey)) {
    refuse('TOCSIN_SECRET_KEY, or the key file, is not the key this backup was made with.')
  }
  const unknown = applied.filter((name) => !(name in migrations)).sort()
  if (unknown.length > 0) {
    refuse(`${file} was made by a newer Tocsin (migration ${unknown.at(-1)}); restore it with that version.`)
  }
}

const SQLITE = 'SQLite format 3\0'

function kindOf(file: string): 'sqlite' | 'postgres' {
  if (!existsSync(file)) refuse(`there is no file ${file}.`)
  const start = startOf(file)
  if (start.startsWith(SQLITE)) return 'sqlite'
  if (start.startsWith('PGDMP')) return 'postgres'
  return refuse(`${file} is no backup of Tocsin.`)
}

function startOf(file: string): string {
  const start = Buffer.alloc(16)
  onFile(file, () => {
    const descriptor = openSync(file, 'r')
    try {
      readSync(descriptor, start)
    } finally {
      closeSync(descriptor)
    }
  })
  return start.toString('latin1')
}

/** Does something with a file; what the system or SQLite has against it becomes a sentence. */
function onFile<T>(file: string, use: () => T): T {
  try {
    return use()
  } catch (error) {
    if (error instanceof TocsinError) throw error
    switch (codeOf(error)) {
      case 'EISDIR':
        return refuse(`${file} is a directory; name a file.`, error)
      case 'EACCES':
      case 'EPERM':
      case 'EROFS':
        return refuse(
          `this user may not use ${file}; run the command as the user of Tocsin, or give this one the right to.`,
          error,
        )
      case 'ENOSPC':
      case 'EDQUOT':
      case 'SQLITE_FULL':
        return refuse(`there is no room on the disk for ${file}; make some, or use another disk.`, error)
      default:
        return refuse(`${file} cannot be used (${wordsOf(error)}).`, error)
    }
  }
}

/**
 * An empty file beside the one to be made, for this user and this run alone: what another run writes never mixes with it.
 * Takes away what runs that were killed have left in the same folder.
 */
function makePart(file: string): string {
  const part = `${file}.tocsin-${randomBytes(6).toString('hex')}.part`
  closeSync(openSync(part, 'wx', 0o600))
  removeLeftovers(part)
  return part
}

const PART = /\.tocsin-[0-9a-f]{12}\.part(-wal|-shm|-journal)?$/
/** A run that lives writes more often. */
const LEFT_AFTER_MS = 24 * 60 * 60 * 1000

function removeLeftovers(part: string): void {
  const dir = dirname(part)
  // By the clock of the disk, which may be that of another machine.
  const now = statSync(part).mtimeMs
  try {
    for (const name of readdirSync(dir).filter((one) => PART.test(one))) {
      const left = join(dir, name)
      if (now - statSync(left).mtimeMs > LEFT_AFTER_MS) rmSync(left)
    }
  } catch {
    // It is another user's, or another run was quicker: no reason to fail.
  }
}

/** Gives a part its name, only once it is whole and on disk. Where the name is taken by then, refuses with `taken`. */
function place(part: string, file: string, taken: string): void {
  syncToDisk(part)
  try {
    try {
      linkSync(part, file)
    } catch (error) {
      if (codeOf(error) === 'EEXIST') throw error
      renameToNew(part, file)
    }
  } catch (error) {
    if (codeOf(error) === 'EEXIST') refuse(taken, error)
    throw error
  }
  rmSync(part, { force: true })
  if (process.platform !== 'win32') syncToDisk(dirname(file))
}

/** For file systems without hard links, such as FAT: the name is taken first, since a rename replaces what is there. */
function renameToNew(part: string, file: string): void {
  closeSync(openSync(file, 'wx', 0o600))
  try {
    renameSync(part, file)
  } catch (error) {
    rmSync(file, { force: true })
    throw error
  }
}

function syncToDisk(path: string): void {
  const descriptor = openSync(path, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : 'for an unknown reason'
}

function refuse(sentence: string, cause?: unknown): never {
  throw new TocsinError('invalid_request', sentence, { cause })
}
