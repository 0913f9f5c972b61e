import { type Caller, type Log, type Tocsin, TocsinError } from '@tocsin/core'
import { httpTocsin, ROUTES } from './http-tocsin.ts'

/** A Tocsin to work on: one that runs elsewhere, or the database of this machine. */
export interface Connection {
  /** For the one user of this process. */
  own(): Promise<Tocsin>
  /** For whoever has this key; undefined where it is unknown or expired. */
  authenticate(key: string): Promise<Tocsin | undefined>
  /** Nobody said at which address the server is reached: those of webhooks begin with the default. */
  isAddressGuessed: boolean
  /** Of the server elsewhere; null on the database of this machine. */
  serverUrl: string | null
  close(): Promise<void>
}

/** What to tell of an address of a webhook whose beginning is guessed. */
export function guessWords(url: string): string {
  return `Its beginning, ${new URL(url).origin}, is a guess, as TOCSIN_PUBLIC_URL is not set here: put the address of your server in its place.`
}

/** Who works on the database without a key: the user of this machine, who may read its files anyway. */
const LOCAL: Caller = { keyId: 'local', name: 'mcp on this machine', scopes: ['admin'], projectId: null }

/** By TOCSIN_URL and TOCSIN_API_KEY, else on the local database by the settings of the server. Throws a sentence. */
export async function connect(env: NodeJS.ProcessEnv, log: Log): Promise<Connection> {
  const key = env.TOCSIN_API_KEY?.trim() || undefined
  const url = env.TOCSIN_URL?.trim() || undefined
  if (url !== undefined) return overHttp(readUrl(url), key)

  // Only here is the server's own code needed, and with it a database driver.
  const { openLocal } = await import('@tocsin/ingest/local')
  const tocsin = await openLocal(env, log)
  const authenticate = async (given: string) => {
    const caller = await tocsin.authenticateKey(given)
    return caller && tocsin.actingAs(caller)
  }
  return {
    own: async () => {
      if (key === undefined) return tocsin.actingAs(LOCAL)
      const own = async () => {
        const tocsin = await authenticate(key)
        if (tocsin) return tocsin
        throw new TocsinError(
          'unauthorized',
          'TOCSIN_API_KEY holds a key that is unknown here or has expired.',
        )
      }
      await own()
      return asked(own)
    },
    authenticate,
    isAddressGuessed: !env.TOCSIN_PUBLIC_URL?.trim(),
    serverUrl: null,
    close: () => tocsin.close(),
  }
}

/** Asks for each call who may do it: over stdio a process outlives the key it was given. */
function asked(own: () => Promise<Tocsin>): Tocsin {
  return Object.fromEntries(
    Object.keys(ROUTES).map((name) => [
      name,
      async (...given: unknown[]) => {
        const useCase = (await own())[name as keyof Tocsin] as (...given: unknown[]) => Promise<unknown>
        return useCase(...given)
      },
    ]),
  ) as unknown as Tocsin
}

function overHttp(url: string, key: string | undefined): Connection {
  return {
    own: async () => {
      if (key !== undefined) return httpTocsin(url, key)
      throw new Error('TOCSIN_API_KEY is not set, but with TOCSIN_URL it must be: make a key at that server.')
    },
    // The server elsewhere knows the keys; this process has none of its own to lend.
    authenticate: async (given) => {
      const tocsin = httpTocsin(url, given)
      try {
        await tocsin.me()
        return tocsin
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'unauthorized') return undefined
        throw error
      }
    },
    isAddressGuessed: false,
    serverUrl: url,
    close: async () => {},
  }
}

function readUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw new Error('TOCSIN_URL must be a whole address such as https://tocsin.example.com.')
  }
  return url.href.replace(/\/+$/, '')
}
