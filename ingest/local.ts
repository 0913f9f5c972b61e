import { existsSync } from 'node:fs'
import { type Log, type OpenedTocsin, openTocsin } from '@tocsin/core'
import { isSqlite, openOptions, readConfig } from './config.ts'
import { ConfigError } from './config-error.ts'
import { openDataDir } from './data-dir.ts'
import { reachable } from './networks.ts'

/**
 * Opens the database of this machine by the settings of the server, for programs beside it: the server may run at the
 * same time. Sends nothing and keeps no time. Throws ConfigError, also where there is no database yet.
 */
export async function openLocal(env: NodeJS.ProcessEnv, log: Log): Promise<OpenedTocsin> {
  const config = readConfig(env)
  const file = isSqlite(config.databaseUrl) ? config.databaseUrl.slice('sqlite:'.length) : undefined
  if (file !== undefined && !existsSync(file)) {
    throw new ConfigError(
      `there is no database at ${file}; run npm start once, or set TOCSIN_URL and TOCSIN_API_KEY to use a server elsewhere`,
    )
  }
  return openTocsin({
    ...openOptions(config),
    secretKey: openDataDir(config),
    publicUrl: config.publicUrl ?? `http://${reachable(config.host)}:${config.port || 4117}`,
    role: 'ingest',
    log,
  })
}
