import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { type Config, decodeSecretKey, isSqlite } from './config.ts'
import { ConfigError } from './config-error.ts'

const KEY_FILE = 'secret.key'

/**
 * Makes the data directory, checks that nobody else on this machine can read what it holds, and returns the secret
 * key: that of the settings, else the key file's, made at the first start. Throws ConfigError.
 */
export function openDataDir(config: Config): Buffer {
  const database = databaseFile(config.databaseUrl)
  const keyFile = join(config.dataDir, KEY_FILE)

  if (config.secretKey === null || database?.startsWith(`${config.dataDir}/`)) makeDataDir(config.dataDir)
  if (database) for (const suffix of ['', '-wal', '-shm']) refuseReadableByOthers(database + suffix)
  if (config.secretKey !== null) return config.secretKey

  refuseReadableByOthers(keyFile)
  if (existsSync(keyFile)) return readKeyFile(keyFile)
  if (database && existsSync(database)) {
    throw new ConfigError(
      `${database} exists, but its key file ${keyFile} does not, and no other key opens the secrets in it; ` +
        'put the file back or set TOCSIN_SECRET_KEY to the key used before.',
    )
  }
  return makeKeyFile(keyFile, config.dataDir)
}

/** The secret key of the settings, else of the key file, which is not made. Throws ConfigError where there is neither. */
export function existingSecretKey(config: Config): Buffer {
  const keyFile = join(config.dataDir, KEY_FILE)
  if (config.secretKey !== null) return config.secretKey
  if (!existsSync(keyFile)) {
    throw new ConfigError(
      `There is no key: put the file ${KEY_FILE} of the backed-up installation into ${config.dataDir}, or set TOCSIN_SECRET_KEY.`,
    )
  }
  refuseReadableByOthers(keyFile)
  return readKeyFile(keyFile)
}

/** The file behind a `sqlite:` address; undefined where there is none on disk. */
function databaseFile(databaseUrl: string): string | undefined {
  const path = databaseUrl.slice('sqlite:'.length)
  return isSqlite(databaseUrl) && path !== ':memory:' ? resolve(path) : undefined
}

function makeDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new ConfigError(
      `TOCSIN_DATA_DIR is ${dataDir}, which cannot be made a directory (${codeOf(error)}); ` +
        'for example TOCSIN_DATA_DIR=./data',
    )
  }
}

function refuseReadableByOthers(file: string): void {
  // Windows has no such bits; every file looks readable there.
  if (process.platform === 'win32') return
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0
  if ((mode & 0o077) !== 0) {
    throw new ConfigError(`${file} is open to other users of this machine; run: chmod 600 '${file}'`)
  }
}

function readKeyFile(keyFile: string): Buffer {
  const key = decodeSecretKey(textOf(keyFile).trim())
  if (!key) {
    throw new ConfigError(
      `${keyFile} does not hold 32 bytes as base64; put the right file back or set TOCSIN_SECRET_KEY.`,
    )
  }
  return key
}

function textOf(keyFile: string): string {
  try {
    return readFileSync(keyFile, 'utf8')
  } catch (error) {
    throw new ConfigError(
      `${keyFile} cannot be read (${codeOf(error)}); give this user the right to, or set TOCSIN_SECRET_KEY.`,
    )
  }
}

function makeKeyFile(keyFile: string, dataDir: string): Buffer {
  const key = randomBytes(32)
  try {
    // On disk before the first secret is sealed with it: a power cut must not leave a database without its key.
    writeThrough(keyFile, `${key.toString('base64')}\n`)
    syncDirectory(dataDir)
    return key
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return readKeyFile(keyFile)
    throw new ConfigError(
      `TOCSIN_DATA_DIR is ${dataDir}, where no file can be written (${codeOf(error)}); ` +
        'give this user the right to write there, or set for example TOCSIN_DATA_DIR=./data',
    )
  }
}

function writeThrough(file: string, text: string): void {
  const descriptor = openSync(file, 'wx', 0o600)
  writeSync(descriptor, text)
  fsyncSync(descriptor)
  closeSync(descriptor)
}

function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return
  const descriptor = openSync(directory, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown fault'
}
