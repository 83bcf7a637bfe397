import { defineConfig } from 'vitest/config'

// Processes that tests start, and the two that run them, need not compile what another has compiled (src/platform/engine.ts).
process.env.NODE_COMPILE_CACHE ??= new URL('node_modules/.cache/bursar', import.meta.url).pathname

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
