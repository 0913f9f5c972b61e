import { createRequire } from 'node:module'
import { configDefaults, defineConfig } from 'vitest/config'

const fromNodes = createRequire(new URL('n8n-nodes/package.json', import.meta.url))

export default defineConfig({
  // What n8n itself loads; the modules it offers to bundlers name source maps it does not bring.
  resolve: { alias: { 'n8n-workflow': fromNodes.resolve('n8n-workflow') } },
  test: {
    include: ['test/**/*.test.ts'],
    // `npm run test:n8n` runs these.
    exclude: [...configDefaults.exclude, 'test/n8n/**'],
    globalSetup: ['test/support/postgres-server.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A machine that does other things as well is slow, not wrong.
    expect: { poll: { timeout: 15_000 } },
    // Two cores are what CI and many laptops give; servers under test need one of them.
    maxWorkers: 2,
  },
})
