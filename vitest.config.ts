import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global.ts'],
    pool: 'forks',
    // Two cores: more workers only queue behind each other.
    maxWorkers: 2,
    // A worker goes from file to file: to load all of it anew for each of them took a third of the time.
    isolate: false,
    // Node runs what it runs in production, too: a bundler in between costs time, in every file and in every call.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
