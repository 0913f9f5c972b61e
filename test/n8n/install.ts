import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { inRepository, pinnedNode, startChild } from '../support/child.ts'
import { trackLeftover } from '../support/leftovers.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Folders that hold node_modules with n8n, and with n8n's own checks of packages. */
    n8nDir: string
    checksDir: string
  }
}

const FILES = ['package.json', 'package-lock.json']

/** Installs what is not there yet, before the first test. */
export default async function setup(project: TestProject): Promise<void> {
  await installChecks(project)
  const dir = await installed('n8n')
  // The agent of n8n loads a driver that has to be compiled, for databases that none of our workflows has.
  await writeFile(join(dir, 'node_modules/sqlite3/lib/sqlite3-binding.js'), NO_SQLITE)
  project.provide('n8nDir', dir)
}

const NO_SQLITE = `module.exports = {
  Database: class Database {},
  Statement: class Statement {},
  Backup: class Backup {},
}
`

/** The same for tests that start no n8n. */
export async function installChecks(project: TestProject): Promise<void> {
  project.provide('checksDir', await installed('checks'))
}

/** Kept from run to run in the user's cache, under the hash of its lock file: n8n alone takes 2.2 GB. */
async function installed(name: string): Promise<string> {
  const from = inRepository(`test/n8n/packages/${name}`)
  const hash = createHash('sha256')
  for (const file of FILES) hash.update(await readFile(join(from, file)))
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tocsin')
  const dir = join(cache, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (await isThere(dir)) return dir

  process.stderr.write(`Installing ${name} into ${dir}\n`)
  const partial = `${dir}.${process.pid}`
  await mkdir(partial, { recursive: true })
  const forget = trackLeftover({ dir: partial })
  try {
    for (const file of FILES) await copyFile(join(from, file), join(partial, file))
    await install(partial)
    await rename(partial, dir)
  } finally {
    await rm(partial, { recursive: true, force: true })
    forget()
  }
  return dir
}

/** Peers of 2,000 packages contradict each other. No install script is needed: the database is PostgreSQL. */
async function install(dir: string): Promise<void> {
  const npm = await startChild(
    'npm',
    ['ci', '--legacy-peer-deps', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: dir,
      env: { ...process.env, PATH: `${dirname(pinnedNode)}:${process.env.PATH}` } as Record<string, string>,
    },
  )
  const { code } = await npm.exited
  if (code !== 0) throw new Error(`npm ci failed in ${dir}: ${npm.stderr()}`)
}

async function isThere(dir: string): Promise<boolean> {
  return readFile(join(dir, 'package.json')).then(
    () => true,
    () => false,
  )
}
