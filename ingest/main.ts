import { existsSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { keepCompiled } from './keep-compiled.ts'

// Nothing this process writes is for other users of the machine.
process.umask(0o077)
if (existsSync('.env')) process.loadEnvFile('.env')
// Before what takes the time is read.
keepCompiled(process.env.TOCSIN_DATA_DIR || './data')
await import('./start.ts')
// Now: a process that is killed does not come to the end at which Node would.
flushCompileCache()
