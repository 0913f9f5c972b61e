import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { type OpenOptions, PLANS, type Plan } from '@tocsin/core'
import { ConfigError } from './config-error.ts'
import { isLoopback, isNetwork } from './networks.ts'

export type Role = 'all' | 'ingest' | 'worker'
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** The settings of one process, read and valid. */
export interface Config {
  host: string
  /** 0 picks a free one. */
  port: number
  /** Absolute. */
  dataDir: string
  /** `sqlite:<path>` or `postgres://…`. */
  databaseUrl: string
  /** Without a trailing slash; null: from the address listened on. */
  publicUrl: string | null
  /** Null: generated at the first start. */
  adminKey: string | null
  /** 32 bytes; null: from the key file in the data directory. */
  secretKey: Buffer | null
  defaultPlan: Plan
  /** Addresses of proxies whose X-Forwarded-For is believed. */
  trustProxy: string[]
  /** Names it may be called by besides its public one, without ports. */
  allowedHosts: string[]
  /** Networks that outgoing webhooks may reach besides public addresses. */
  allowPrivateTargets: string[]
  /** Writes the prose of post-mortems; null: nothing leaves the house. */
  model: { baseUrl: string; model: string; apiKey: string | null; timeoutMs?: number } | null
  role: Role
  /** How long it goes on listening once it is told to stop. */
  drainMs: number
  logLevel: LogLevel
}

interface Setting<T> {
  readonly example: string
  /** Throws a Problem: what follows the variable's name in the sentence. Never quotes a secret. */
  read(text: string): T
}

class Problem extends Error {}

const ROLES = ['all', 'ingest', 'worker'] as const
const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** Every variable the process reads; `.env.example` lists the same. */
export const SETTINGS = {
  TOCSIN_HOST: { example: '127.0.0.1', read: readHost },
  TOCSIN_PORT: { example: '4117', read: readPort },
  TOCSIN_DATA_DIR: { example: './data', read: (text) => resolve(text) },
  DATABASE_URL: { example: 'postgres://tocsin@localhost/tocsin', read: readDatabaseUrl },
  TOCSIN_PUBLIC_URL: { example: 'https://tocsin.example.com', read: readPublicUrl },
  TOCSIN_ADMIN_KEY: { example: '"$(openssl rand -hex 24)"', read: readAdminKey },
  TOCSIN_SECRET_KEY: { example: '"$(openssl rand -base64 32)"', read: readSecretKey },
  TOCSIN_DEFAULT_PLAN: { example: 'unlimited', read: oneOf(PLANS) },
  TOCSIN_TRUST_PROXY: { example: '10.0.0.0/8,192.168.1.5/32', read: readTrustedProxies },
  TOCSIN_ALLOWED_HOSTS: { example: 'tocsin,192.168.1.5', read: readHosts },
  TOCSIN_ALLOW_PRIVATE_TARGETS: { example: '192.168.1.0/24', read: readNetworks },
  TOCSIN_LLM_BASE_URL: { example: 'http://127.0.0.1:11434/v1', read: readModelUrl },
  TOCSIN_LLM_MODEL: { example: 'llama3.3', read: readModelName },
  TOCSIN_LLM_API_KEY: { example: '"$(cat key)"', read: readModelKey },
  TOCSIN_LLM_TIMEOUT_SECONDS: { example: '40', read: readModelTimeout },
  TOCSIN_ROLE: { example: 'all', read: oneOf(ROLES) },
  TOCSIN_DRAIN_SECONDS: { example: '3', read: readDrain },
  TOCSIN_LOG_LEVEL: { example: 'info', read: oneOf(LOG_LEVELS) },
} satisfies Record<string, Setting<unknown>>

/** Reads the settings; a variable that is empty counts as not set. Throws ConfigError. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const value = <Name extends keyof typeof SETTINGS>(name: Name) => readSetting(env, name)

  const dataDir = value('TOCSIN_DATA_DIR') ?? resolve('./data')
  const config: Config = {
    host: value('TOCSIN_HOST') ?? '127.0.0.1',
    port: value('TOCSIN_PORT') ?? 4117,
    dataDir,
    databaseUrl: value('DATABASE_URL') ?? `sqlite:${join(dataDir, 'tocsin.db')}`,
    publicUrl: value('TOCSIN_PUBLIC_URL') ?? null,
    adminKey: value('TOCSIN_ADMIN_KEY') ?? null,
    secretKey: value('TOCSIN_SECRET_KEY') ?? null,
    defaultPlan: value('TOCSIN_DEFAULT_PLAN') ?? 'unlimited',
    trustProxy: value('TOCSIN_TRUST_PROXY') ?? [],
    allowedHosts: value('TOCSIN_ALLOWED_HOSTS') ?? [],
    allowPrivateTargets: value('TOCSIN_ALLOW_PRIVATE_TARGETS') ?? [],
    model: modelOf(
      value('TOCSIN_LLM_BASE_URL'),
      value('TOCSIN_LLM_MODEL'),
      value('TOCSIN_LLM_API_KEY'),
      value('TOCSIN_LLM_TIMEOUT_SECONDS'),
    ),
    role: value('TOCSIN_ROLE') ?? 'all',
    drainMs: (value('TOCSIN_DRAIN_SECONDS') ?? 0) * 1000,
    logLevel: value('TOCSIN_LOG_LEVEL') ?? 'info',
  }

  if (!isSqlite(config.databaseUrl) && config.secretKey === null) {
    throw new ConfigError(
      'TOCSIN_SECRET_KEY is not set, but with PostgreSQL it must be, the same for every process; ' +
        `for example TOCSIN_SECRET_KEY=${SETTINGS.TOCSIN_SECRET_KEY.example} made once and kept.`,
    )
  }
  return config
}

/**
 * Where outgoing webhooks may go. Who can only be reached from this machine may reach it, too: a local n8n is the
 * common receiver. What a separate worker listens on says nothing of who can reach the Tocsin it sends for.
 */
export function targetRules(config: Pick<Config, 'allowPrivateTargets' | 'host' | 'role'>): {
  allow: string[]
  loopback: boolean
} {
  return { allow: config.allowPrivateTargets, loopback: config.role !== 'worker' && isLoopback(config.host) }
}

/** What every process on a database opens it with, whatever it does there. */
export function openOptions({
  databaseUrl,
  defaultPlan,
  model,
}: Config): Pick<OpenOptions, 'databaseUrl' | 'defaultPlan' | 'model'> {
  return { databaseUrl, defaultPlan, ...(model !== null && { model }) }
}

/** Both or none: a model without an address, or an address without a model, is a slip. */
function modelOf(
  baseUrl: string | undefined,
  model: string | undefined,
  apiKey: string | undefined,
  seconds: number | undefined,
): Config['model'] {
  if (baseUrl !== undefined && model !== undefined)
    return {
      ...{ baseUrl, model, apiKey: apiKey ?? null },
      ...(seconds !== undefined && { timeoutMs: seconds * 1000 }),
    }
  if (baseUrl === undefined && model === undefined && apiKey === undefined) return null
  const missing = baseUrl === undefined ? 'TOCSIN_LLM_BASE_URL' : 'TOCSIN_LLM_MODEL'
  const given = [
    ...(baseUrl === undefined ? [] : ['TOCSIN_LLM_BASE_URL']),
    ...(model === undefined ? [] : ['TOCSIN_LLM_MODEL']),
    ...(apiKey === undefined ? [] : ['TOCSIN_LLM_API_KEY']),
  ].join(' and ')
  throw new ConfigError(
    `${missing} is not set, but ${given} is: post-mortems are written by a model where both its address and its name are known; for example ${missing}=${SETTINGS[missing].example}`,
  )
}

/** Whether this database is a file of this machine. */
export function isSqlite(databaseUrl: string): boolean {
  return databaseUrl.startsWith('sqlite:')
}

function readSetting<Name extends keyof typeof SETTINGS>(
  env: NodeJS.ProcessEnv,
  name: Name,
): ReturnType<(typeof SETTINGS)[Name]['read']> | undefined {
  const text = env[name]?.trim()
  if (!text) return undefined

  const setting: Setting<unknown> = SETTINGS[name]
  try {
    return setting.read(text) as ReturnType<(typeof SETTINGS)[Name]['read']>
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    throw new ConfigError(`${name} ${error.message}; for example ${name}=${setting.example}`)
  }
}

function readHost(text: string): string {
  if (isIP(text) === 0 && !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(text)) {
    throw new Problem(`is ${quoted(text)}, but must be an address or a host name of this machine`)
  }
  return text
}

function readPort(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new Problem(`is ${quoted(text)}, but must be a whole number from 0 to 65535 (0 picks a free port)`)
  }
  return port
}

// A database address may hold a password, so no sentence quotes it.
function readDatabaseUrl(text: string): string {
  if (text.startsWith('sqlite:')) {
    if (text === 'sqlite:') throw new Problem('names no file after "sqlite:"')
    return text
  }
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) {
    throw new Problem('must be "sqlite:" and a path, or a whole postgres:// address')
  }
  return text
}

function readPublicUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new Problem('must be a whole address that starts with https:// or http://')
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new Problem('must be an address without user, query or #')
  }
  return url.href.replace(/\/+$/, '')
}

/** A key in an address would end up in messages of errors. */
function readModelUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new Problem('must be a whole address that starts with https:// or http://')
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new Problem('must be an address without user, query or #; the key goes into TOCSIN_LLM_API_KEY')
  }
  return url.href.replace(/\/+$/, '')
}

function readModelName(text: string): string {
  if (!/^\S{1,200}$/.test(text)) throw new Problem('must be the name of a model, without spaces')
  return text
}

function readModelTimeout(text: string): number {
  const seconds = Number(text)
  if (!/^\d{1,3}$/.test(text) || seconds < 1 || seconds > 110) {
    throw new Problem(`is ${quoted(text)}, but must be a whole number of seconds from 1 to 110`)
  }
  return seconds
}

function readDrain(text: string): number {
  if (!/^[0-5]$/.test(text)) {
    throw new Problem(`is ${quoted(text)}, but must be a whole number of seconds from 0 to 5`)
  }
  return Number(text)
}

function readModelKey(text: string): string {
  if (!/^[\x21-\x7e]+$/.test(text)) throw new Problem('may hold only visible ASCII characters')
  return text
}

function readAdminKey(text: string): string {
  if (text.length < 24) throw new Problem(`has ${text.length} characters, but needs at least 24`)
  if (!/^[\x21-\x7e]+$/.test(text)) throw new Problem('may hold only visible ASCII characters')
  return text
}

function readSecretKey(text: string): Buffer {
  const key = decodeSecretKey(text)
  if (!key) throw new Problem('must be 32 bytes as base64')
  return key
}

/** The 32 bytes in a base64 text; undefined where it holds anything else. */
export function decodeSecretKey(text: string): Buffer | undefined {
  const key = /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : undefined
  return key?.length === 32 ? key : undefined
}

function readTrustedProxies(text: string): string[] {
  const networks = readNetworks(text)
  const everyone = networks.find((network) => network.endsWith('/0'))
  if (everyone) throw new Problem(`has ${everyone}, which would let every sender choose its own address`)
  return networks
}

function readHosts(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== '')
    .map((part) => {
      if (/^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])$/.test(part)) return part
      throw new Problem(`has ${quoted(part)}, but must be a comma list of host names without ports`)
    })
}

function readNetworks(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      if (!isNetwork(part)) {
        throw new Problem(`has ${quoted(part)}, but must be a comma list of addresses or networks`)
      }
      return part
    })
}

function oneOf<const Word extends string>(words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((candidate) => candidate === text)
    if (word === undefined) throw new Problem(`is ${quoted(text)}, but must be one of ${words.join(', ')}`)
    return word
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}
