import './platform/engine.ts'

// Only what is loaded after the engine is set up comes from its cache.
const { main } = await import('./start/roles.ts')
await main(process.argv.slice(2))
