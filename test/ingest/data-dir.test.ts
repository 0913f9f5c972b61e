import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../../ingest/config.ts'
import { openDataDir } from '../../ingest/data-dir.ts'

let dir: string
let dataDir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tocsin-'))
  dataDir = join(dir, 'data')
  return () => rmSync(dir, { recursive: true })
})

const open = (env: Record<string, string> = {}) =>
  openDataDir(readConfig({ TOCSIN_DATA_DIR: dataDir, ...env }))
const mode = (file: string) => statSync(file).mode & 0o777

describe('the first start', () => {
  test('makes a directory and a key file for this user alone', () => {
    const key = open()
    expect(key).toHaveLength(32)
    expect(mode(dataDir)).toBe(0o700)
    expect(mode(join(dataDir, 'secret.key'))).toBe(0o600)
  })

  test('makes no key file where the settings hold the key', () => {
    const key = Buffer.alloc(32, 1)
    expect(open({ TOCSIN_SECRET_KEY: key.toString('base64') })).toEqual(key)
    expect(existsSync(dataDir)).toBe(true)
    expect(existsSync(join(dataDir, 'secret.key'))).toBe(false)
  })

  test('makes nothing where database and key are elsewhere', () => {
    open({
      TOCSIN_SECRET_KEY: Buffer.alloc(32).toString('base64'),
      DATABASE_URL: 'postgres://localhost/tocsin',
    })
    expect(existsSync(dataDir)).toBe(false)
  })

  test('says what is wrong where no directory can be made', () => {
    writeFileSync(dataDir, '')
    expect(() => open()).toThrow(/^TOCSIN_DATA_DIR is .+ cannot be made a directory \(EEXIST\); for example/)
  })

  test('says what is wrong where nothing can be written', () => {
    if (process.getuid?.() === 0) return // Root may write everywhere.
    open()
    rmSync(join(dataDir, 'secret.key'))
    chmodSync(dataDir, 0o500)
    onTestFinished(() => chmodSync(dataDir, 0o700))
    expect(() => open()).toThrow(/^TOCSIN_DATA_DIR is .+ no file can be written \(EACCES\)/)
  })
})

describe('a later start', () => {
  test('reads the same key', () => {
    expect(open()).toEqual(open())
  })

  test('refuses a key file that holds no key, without showing it', () => {
    open()
    writeFileSync(join(dataDir, 'secret.key'), 'hunter2')
    expect(() => open()).toThrow(/does not hold 32 bytes as base64/)
    expect(() => open()).not.toThrow(/hunter2/)
  })

  test('says what is wrong where the key file cannot be read', () => {
    const keyFile = join(dataDir, 'secret.key')
    mkdirSync(keyFile, { recursive: true, mode: 0o700 })
    expect(() => open()).toThrow(
      `${keyFile} cannot be read (EISDIR); give this user the right to, or set TOCSIN_SECRET_KEY.`,
    )
  })

  test('refuses a database whose key file is gone, and makes no new one', () => {
    open()
    writeFileSync(join(dataDir, 'tocsin.db'), '', { mode: 0o600 })
    rmSync(join(dataDir, 'secret.key'))
    expect(() => open()).toThrow(/its key file .+ does not/)
    expect(existsSync(join(dataDir, 'secret.key'))).toBe(false)
  })

  test.each(['secret.key', 'tocsin.db', 'tocsin.db-wal', 'tocsin.db-shm'])(
    'refuses a %s others can read',
    (name) => {
      open()
      const file = join(dataDir, name)
      if (!existsSync(file)) writeFileSync(file, '')
      chmodSync(file, 0o640)
      expect(() => open()).toThrow(`${file} is open to other users of this machine; run: chmod 600 '${file}'`)
      chmodSync(file, 0o600)
      expect(() => open()).not.toThrow()
    },
  )

  test('refuses a database elsewhere that others can read', () => {
    const file = join(dir, 'elsewhere.db')
    writeFileSync(file, '', { mode: 0o644 })
    chmodSync(file, 0o644)
    expect(() => open({ DATABASE_URL: `sqlite:${file}` })).toThrow(/chmod 600/)
  })
})

test('the key file is one line of base64', () => {
  const key = open()
  expect(readFileSync(join(dataDir, 'secret.key'), 'utf8')).toBe(`${key.toString('base64')}\n`)
})
