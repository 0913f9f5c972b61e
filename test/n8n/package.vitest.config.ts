import { defineConfig } from 'vitest/config'

/** `npm run lint` in n8n-nodes: the package alone, by n8n's checks, for which no n8n is installed. */
export default defineConfig({
  test: {
    include: ['test/n8n/package.test.ts'],
    globalSetup: ['test/n8n/install-checks.ts'],
    testTimeout: 600_000,
  },
})
