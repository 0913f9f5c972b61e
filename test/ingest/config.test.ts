import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readConfig, SETTINGS, targetRules } from '../../ingest/config.ts'
import { ConfigError } from '../../ingest/config-error.ts'

const SECRET_KEY = Buffer.alloc(32, 7).toString('base64')

describe('without settings', () => {
  test('it listens on this machine alone, with a database file in ./data', () => {
    const dataDir = join(process.cwd(), 'data')
    expect(readConfig({})).toEqual({
      host: '127.0.0.1',
      port: 4117,
      dataDir,
      databaseUrl: `sqlite:${join(dataDir, 'tocsin.db')}`,
      publicUrl: null,
      adminKey: null,
      secretKey: null,
      defaultPlan: 'unlimited',
      trustProxy: [],
      allowedHosts: [],
      allowPrivateTargets: [],
      model: null,
      role: 'all',
      drainMs: 0,
      logLevel: 'info',
    })
  })

  test('an empty variable is none', () => {
    const empty = Object.fromEntries(Object.keys(SETTINGS).map((name) => [name, ' ']))
    expect(readConfig(empty)).toEqual(readConfig({}))
  })
})

test('settings are read', () => {
  const config = readConfig({
    TOCSIN_HOST: '::1',
    TOCSIN_PORT: '0',
    TOCSIN_DATA_DIR: '/srv/tocsin',
    DATABASE_URL: 'postgres://tocsin:pass@db.example.com/tocsin',
    TOCSIN_PUBLIC_URL: 'https://example.com/tocsin/',
    TOCSIN_ADMIN_KEY: 'x'.repeat(24),
    TOCSIN_SECRET_KEY: SECRET_KEY,
    TOCSIN_DEFAULT_PLAN: 'pro',
    TOCSIN_TRUST_PROXY: '10.0.0.0/8, fd00::/8,192.168.1.5',
    TOCSIN_ALLOWED_HOSTS: 'Tocsin, [::1]',
    TOCSIN_ALLOW_PRIVATE_TARGETS: '192.168.1.0/24',
    TOCSIN_LLM_BASE_URL: 'http://127.0.0.1:11434/v1/',
    TOCSIN_LLM_MODEL: 'small',
    TOCSIN_LLM_API_KEY: 'key-of-the-model',
    TOCSIN_LLM_TIMEOUT_SECONDS: '50',
    TOCSIN_ROLE: 'worker',
    TOCSIN_DRAIN_SECONDS: '3',
    TOCSIN_LOG_LEVEL: 'debug',
  })
  expect(config).toMatchObject({
    host: '::1',
    port: 0,
    dataDir: '/srv/tocsin',
    databaseUrl: 'postgres://tocsin:pass@db.example.com/tocsin',
    publicUrl: 'https://example.com/tocsin',
    secretKey: Buffer.alloc(32, 7),
    trustProxy: ['10.0.0.0/8', 'fd00::/8', '192.168.1.5'],
    allowedHosts: ['tocsin', '[::1]'],
    allowPrivateTargets: ['192.168.1.0/24'],
    model: {
      baseUrl: 'http://127.0.0.1:11434/v1',
      model: 'small',
      apiKey: 'key-of-the-model',
      timeoutMs: 50_000,
    },
    role: 'worker',
    drainMs: 3_000,
    logLevel: 'debug',
  })
})

// Any text can name a directory; whether it can be one shows when it is opened (data-dir.test.ts).
const WRONG: Record<Exclude<keyof typeof SETTINGS, 'TOCSIN_DATA_DIR'>, string[]> = {
  TOCSIN_HOST: ['not a host', 'http://localhost'],
  TOCSIN_PORT: ['abc', '65536', '-1', '80.5'],
  DATABASE_URL: ['mysql://localhost/tocsin', 'sqlite:', '/var/lib/tocsin.db', 'postgres://['],
  TOCSIN_PUBLIC_URL: [
    'tocsin.example.com',
    'ftp://example.com',
    'https://me:pw@example.com',
    'https://a.b/?c',
  ],
  TOCSIN_ADMIN_KEY: ['short-key', `${'x'.repeat(30)} y`],
  TOCSIN_SECRET_KEY: ['c2hvcnQ=', 'x'.repeat(44), Buffer.alloc(33).toString('base64')],
  TOCSIN_DEFAULT_PLAN: ['business', 'Free'],
  TOCSIN_TRUST_PROXY: ['true', 'loopback', '10.0.0.0/33', '0.0.0.0/0', '::/0', '10.0.0.0/8/8'],
  TOCSIN_ALLOWED_HOSTS: ['http://tocsin', 'tocsin:4117', '*'],
  TOCSIN_ALLOW_PRIVATE_TARGETS: ['intranet', '300.1.1.1', '10.0.0.0/'],
  TOCSIN_LLM_BASE_URL: [
    'localhost:11434',
    'ftp://example.com',
    'https://me:pw@example.com/v1',
    'https://a.b/v1?key=c',
  ],
  TOCSIN_LLM_MODEL: ['a model'],
  TOCSIN_LLM_API_KEY: ['two words'],
  TOCSIN_LLM_TIMEOUT_SECONDS: ['0', '1.5', '111', 'soon'],
  TOCSIN_ROLE: ['sender'],
  TOCSIN_DRAIN_SECONDS: ['6', '-1', '1.5', 'soon'],
  TOCSIN_LOG_LEVEL: ['verbose', 'trace'],
}

describe.each(Object.entries(WRONG))('%s', (name, values) => {
  test.each(values)(
    '%j stops the start with one sentence: the variable, the problem, an example',
    (value) => {
      const sentence = problemOf({ [name]: value })
      expect(sentence).toMatch(new RegExp(`^${name} (is|has|names|must|may) .+; for example ${name}=.+`))
      expect(sentence).not.toContain('\n')
    },
  )
})

test.each([
  ['TOCSIN_ADMIN_KEY', 'hunter2'],
  ['TOCSIN_SECRET_KEY', 'hunter2'],
  ['DATABASE_URL', 'mysql://root:hunter2@localhost'],
  ['TOCSIN_PUBLIC_URL', 'https://me:hunter2@example.com'],
  ['TOCSIN_LLM_BASE_URL', 'https://me:hunter2@example.com'],
  ['TOCSIN_LLM_API_KEY', 'hunter2 and more'],
])('a wrong %s is not repeated', (name, value) => {
  expect(problemOf({ [name]: value })).not.toContain('hunter2')
})

test('every example is a value that works, but for the commands that make a secret', () => {
  const examples = Object.entries(SETTINGS).filter(([, { example }]) => !example.startsWith('"$('))
  const env = Object.fromEntries(examples.map(([name, { example }]) => [name, example]))
  expect(() => readConfig({ ...env, TOCSIN_SECRET_KEY: SECRET_KEY })).not.toThrow()
})

test('a model needs its address and its name, and without an address nothing is asked', () => {
  const [url, model, key] = ['http://127.0.0.1:11434/v1', 'small', 'key-of-the-model']
  expect(readConfig({ TOCSIN_LLM_BASE_URL: url, TOCSIN_LLM_MODEL: model }).model).toEqual({
    baseUrl: url,
    model,
    apiKey: null,
  })
  expect(problemOf({ TOCSIN_LLM_BASE_URL: url })).toMatch(
    /^TOCSIN_LLM_MODEL is not set, but TOCSIN_LLM_BASE_URL is/,
  )
  const without = problemOf({ TOCSIN_LLM_MODEL: model, TOCSIN_LLM_API_KEY: key })
  expect(without).toMatch(/^TOCSIN_LLM_BASE_URL is not set, but TOCSIN_LLM_MODEL and TOCSIN_LLM_API_KEY is/)
  expect(without).not.toContain(key)
})

test('this machine may be sent to while only it reaches Tocsin; a separate worker cannot know that', () => {
  const loopback = (env: Record<string, string>) => targetRules(readConfig(env)).loopback
  expect(loopback({})).toBe(true)
  expect(loopback({ TOCSIN_HOST: '0.0.0.0' })).toBe(false)
  expect(loopback({ TOCSIN_ROLE: 'worker' })).toBe(false)
  expect(
    targetRules(readConfig({ TOCSIN_ROLE: 'worker', TOCSIN_ALLOW_PRIVATE_TARGETS: '127.0.0.0/8' })),
  ).toEqual({ allow: ['127.0.0.0/8'], loopback: false })
})

test('PostgreSQL needs a secret key', () => {
  expect(problemOf({ DATABASE_URL: 'postgres://localhost/tocsin' })).toMatch(/^TOCSIN_SECRET_KEY is not set/)
})

function problemOf(env: Record<string, string>): string {
  try {
    readConfig(env)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  throw new Error(`${JSON.stringify(env)} was taken`)
}
