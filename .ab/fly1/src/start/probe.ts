import { serve } from '@hono/node-server'
import { Authenticator } from '../api/access.ts'
import { makeApp } from '../api/app.ts'
import { healthRoute } from '../api/health.ts'
import { metricsRoute } from '../api/metrics.ts'
import { Bug } from '../kit/assert.ts'
import { openPool, sqlOf } from '../platform/database.ts'
import { type Foundation, VERSION } from './foundation.ts'
import { dependencies, questions } from './questions.ts'

/** Where Prometheus looks for a process that has no other door. */
const METRICS_PORT = 9090

/** `/health` and `/metrics` of a process that has no door, a worker's or a scheduler's, and of any whose METRICS_PORT is set. */
export async function openProbe(foundation: Foundation): Promise<{ stop(): Promise<void> }> {
  const { config, clock, log, metrics, databaseUrl: url } = foundation
  const pool = openPool({ url, name: 'bursar probe', max: 2, readOnly: true })
  const { router, app } = makeApp({
    authenticator: new Authenticator({ jwt: config.jwt, board: config.board, clock }),
    limiter: { consume: () => Promise.reject(new Bug('A probe has no limits')) },
    clock,
    log,
    trustProxy: config.trustProxy,
    generalLimit: undefined,
    answered: metrics.requestAnswered,
  })
  const asks = questions(sqlOf(pool), foundation, () => 0)
  healthRoute(router, {
    clock,
    version: VERSION,
    tokensInUse: asks.tokensInUse,
    dependencies: dependencies(foundation),
  })
  if (config.metrics.enabled) {
    metrics.askWhenRead(asks)
    metricsRoute(router, metrics.registry)
  }
  const server = serve({ fetch: app.fetch, hostname: config.host, port: config.metrics.port ?? METRICS_PORT })
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', reject)
  })
  return {
    async stop() {
      await new Promise<void>((resolve) => server.close(() => resolve()))
      await pool.end()
    },
  }
}
