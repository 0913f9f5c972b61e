import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { ConfigError } from './config-error.ts'

/**
 * Takes the settings of the `.env` in the folder this process runs in, where there is one; what is set already stays.
 * Throws ConfigError: Node's own errors say that a file it may not read is not there.
 */
export function loadSettingsFile(): void {
  if (!existsSync('.env')) return
  try {
    process.loadEnvFile('.env')
  } catch {
    throw new ConfigError(`${resolve('.env')} cannot be read; give this user the right to.`)
  }
}
