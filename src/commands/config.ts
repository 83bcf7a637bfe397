import { misspellings } from '../platform/config/spelling.ts'
import { ConfigError, describeConfig, EXIT_CONFIG, loadConfig } from '../platform/config.ts'

/** `npm run config`: what Bursar understood of its environment, or everything that is wrong with it. */
try {
  const config = loadConfig()
  process.stdout.write(`${describeConfig(config)}\n`)
  for (const hint of misspellings(process.env)) process.stderr.write(`${hint}\n`)
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = EXIT_CONFIG
}
