import { execFileSync } from 'node:child_process'
import { cpSync, globSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** Builds what is published into dist/: JavaScript from the sources, beside it what n8n reads as it is. */

process.chdir(import.meta.dirname)
const typescript = createRequire(import.meta.url).resolve('typescript/package.json')

rmSync('dist', { recursive: true, force: true })
execFileSync(process.execPath, [join(dirname(typescript), 'bin/tsc'), '-p', 'tsconfig.build.json'], {
  stdio: 'inherit',
})
for (const file of globSync(['icons/*.svg', 'nodes/**/*.json'])) cpSync(file, join('dist', file))
