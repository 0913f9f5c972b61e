import { flushCompileCache } from 'node:module'
import { keepCompiled } from './keep-compiled.ts'
import { loadSettingsFile } from './settings-file.ts'
import { takeStopSignals } from './stop-signal.ts'

// Before all that takes time: until there is something to stop, a signal just ends it.
takeStopSignals(() => process.exit(0))
// Nothing this process writes is for other users of the machine.
process.umask(0o077)
try {
  // A secret may be among them.
  if (process.argv.length > 2) {
    throw new Error(
      'it takes no arguments; settings are in the environment or in .env, as .env.example lists them.',
    )
  }
  loadSettingsFile()
} catch (error) {
  process.stderr.write(`Tocsin did not start: ${(error as Error).message}\n`)
  process.exit(1)
}
// Before what takes the time is read.
keepCompiled(process.env.TOCSIN_DATA_DIR || './data')
await import('./start.ts')
// Now: a process that is killed does not come to the end at which Node would.
flushCompileCache()
