import { statSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

/**
 * Keeps what Node makes of the sources beside the data, so that the next start has a third less to do. Only in a
 * directory that is there already and that no other user can write into: what lies there is run.
 */
export function keepCompiled(dataDir: string): void {
  const found = statSync(dataDir, { throwIfNoEntry: false })
  const isOurs = found?.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0
  if (isOurs) enableCompileCache(join(dataDir, 'compiled'))
}
