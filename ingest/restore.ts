import { restoreDatabase } from '@tocsin/core'
import { existingSecretKey } from './data-dir.ts'
import { runOnFile } from './terminal.ts'

/** `npm run restore -- <file>`: puts a backup where the settings say the database is. */
await runOnFile('npm run restore -- <file>', async (config, file) => {
  const { held } = await restoreDatabase(config.databaseUrl, file, existingSecretKey(config))
  const waiting =
    held === 0
      ? 'No outgoing message was waiting.'
      : `${held} outgoing messages waited when the backup was made. They may have gone out since, so they stand as failed; ` +
        `POST /api/v1/projects/{p}/endpoints/{e}/replay sends them.`
  return `Restored ${file}.\n${waiting}\nStart Tocsin with npm start.`
})
