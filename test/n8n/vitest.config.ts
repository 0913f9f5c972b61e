import { defineConfig } from 'vitest/config'

/** `npm run test:n8n`: the nodes in a real n8n against the real Tocsin. */
export default defineConfig({
  test: {
    include: ['test/n8n/**/*.test.ts'],
    globalSetup: ['test/support/postgres-server.ts', 'test/n8n/install.ts'],
    testTimeout: 120_000,
    hookTimeout: 240_000,
    // One n8n at a time: it takes a core and 700 MB.
    fileParallelism: false,
  },
})
