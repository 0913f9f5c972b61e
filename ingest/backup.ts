import { join } from 'node:path'
import { backupDatabase } from '@tocsin/core'
import { runOnFile } from './terminal.ts'

/**
 * `npm run backup -- <file>`: a whole copy of the database, while it is in use. What a killed run leaves, `<file>.tocsin-….part`,
 * is taken away by the first run in that folder after a day.
 */
await runOnFile('npm run backup -- <file>', async (config, file) => {
  const { bytes } = await backupDatabase(config.databaseUrl, file)
  const key = config.secretKey === null ? join(config.dataDir, 'secret.key') : 'TOCSIN_SECRET_KEY'
  return `Wrote ${file} (${(bytes / 1e6).toFixed(1)} MB).\nKeep ${key} apart from it: without that key the secrets in it stay closed.`
})
