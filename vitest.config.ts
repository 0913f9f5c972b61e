import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/postgres-server.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A machine that does other things as well is slow, not wrong.
    expect: { poll: { timeout: 15_000 } },
    // Two cores are what CI and many laptops give; servers under test need one of them.
    maxWorkers: 2,
  },
})
