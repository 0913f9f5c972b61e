import { defineConfig } from 'vitest/config'

/** `npm run test:n8n`: the nodes in a real n8n against the real Tocsin. */
export default defineConfig({
  test: {
    include: ['test/n8n/**/*.test.ts'],
    globalSetup: ['test/support/postgres-server.ts', 'test/n8n/install.ts'],
    // Two starts of n8n, and the longest wait of Tocsin between two attempts, on a machine that has other things to do.
    testTimeout: 600_000,
    hookTimeout: 300_000,
    // One n8n at a time: it takes a core and 700 MB.
    fileParallelism: false,
  },
})
