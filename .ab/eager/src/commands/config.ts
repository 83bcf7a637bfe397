import { misspellings } from '../platform/config/spelling.ts'
import { ConfigError, describeConfig, EXIT_CONFIG } from '../platform/config.ts'
import { configuration } from '../start/configuration.ts'

/** `npm run config`: what Bursar understood of its environment, or everything that is wrong with it. */
try {
  const config = await configuration()
  process.stdout.write(`${describeConfig(config)}\n`)
  for (const hint of misspellings(process.env)) process.stderr.write(`${hint}\n`)
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = EXIT_CONFIG
}
