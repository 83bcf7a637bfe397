import type pg from 'pg'
import { RateLimiterMemory, RateLimiterPostgres, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import { sha256 } from '../kit/digest.ts'
import type { Log } from './log.ts'
import type { RedisClient } from './redis.ts'

export interface Limit {
  /** Apart from other limits of the same caller. */
  readonly name: string
  readonly points: number
  readonly seconds: number
}

export interface Verdict {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  /** Until the window is over and all points are back. */
  readonly resetSeconds: number
}

export interface RateLimiter {
  /** Takes `cost` points (1 unless told) off what `key` may do under `limit`. Never fails and never waits long. */
  consume(key: string, limit: Limit, cost?: number): Promise<Verdict>
}

export type LimitStore = { readonly redis: RedisClient } | { readonly pool: pg.Pool }

/** A limit is worth a short wait; then this process counts by itself. */
const STORE_TIMEOUT_MS = 1_000

/** After a failure the store is left alone for this long, so that an outage does not cost every request its wait. */
const STORE_REST_MS = 1_000

/** An outage is logged once in this time, not once per request. */
const COMPLAIN_EVERY_MS = 60_000

type Counter = Pick<RateLimiterMemory, 'consume'>

/**
 * Counts that all processes share. While the store is away each process counts for itself: limits grow by the number of
 * processes for that time, but nobody is turned away by our own trouble.
 */
export function rateLimiter(store: LimitStore, log: Log, timeoutMs = STORE_TIMEOUT_MS): RateLimiter {
  const counters = new Map<string, { shared: Counter; own: Counter }>()
  if ('pool' in store) forgetExpired(store.pool)
  let restsUntil = 0
  let complainsAfter = 0

  function countersOf(limit: Limit) {
    const id = `${limit.name}:${limit.points}:${limit.seconds}`
    let pair = counters.get(id)
    if (pair === undefined) {
      const own = new RateLimiterMemory({ points: limit.points, duration: limit.seconds })
      pair = { shared: sharedCounter(store, limit, timeoutMs), own }
      counters.set(id, pair)
    }
    return pair
  }

  function storeFailed(error: unknown): void {
    const now = performance.now()
    restsUntil = now + STORE_REST_MS
    if (now < complainsAfter) return
    complainsAfter = now + COMPLAIN_EVERY_MS
    log.warn({ err: error }, 'The store of rate limits does not answer: this process counts for itself')
  }

  return {
    async consume(key, limit, cost = 1) {
      const { shared, own } = countersOf(limit)
      // Keys may be long and may be somebody's address: neither belongs in the store.
      const hashed = sha256(key).toString('base64url')
      if (performance.now() >= restsUntil) {
        try {
          return await verdictOf(limit, () => within(timeoutMs, shared.consume(hashed, cost)))
        } catch (error) {
          storeFailed(error)
        }
      }
      return verdictOf(limit, () => own.consume(hashed, cost))
    },
  }
}

function sharedCounter(store: LimitStore, { name, points, seconds }: Limit, timeoutMs: number): Counter {
  if ('redis' in store)
    return new RateLimiterRedis({
      storeClient: store.redis,
      keyPrefix: `bursar:rate:${name}`,
      points,
      duration: seconds,
      rejectIfRedisNotReady: true,
    })
  return new RateLimiterPostgres({
    storeClient: boundedQueries(store.pool, timeoutMs),
    storeType: 'pool',
    tableName: 'rate_limit',
    tableCreated: true,
    clearExpiredByTimeout: false,
    keyPrefix: name,
    points,
    duration: seconds,
  })
}

/** Gives up on a statement by itself, too: one that hangs would keep its connection from everybody else. */
const boundedQueries = (pool: pg.Pool, timeoutMs: number) => ({
  query: (query: pg.QueryConfig) => pool.query({ ...query, query_timeout: timeoutMs } as pg.QueryConfig),
})

/** The library deletes expired rows every five minutes; one counter does that for all, and may take its time. */
function forgetExpired(pool: pg.Pool): void {
  new RateLimiterPostgres({
    storeClient: pool,
    storeType: 'pool',
    tableName: 'rate_limit',
    tableCreated: true,
    clearExpiredByTimeout: true,
    points: 1,
    duration: 1,
  })
}

/** The library says «yes» by resolving and «no» by rejecting, both with the same kind of answer; errors are the store's. */
async function verdictOf(limit: Limit, consume: () => Promise<RateLimiterRes>): Promise<Verdict> {
  try {
    return verdict(limit, true, await consume())
  } catch (answer) {
    if (answer instanceof RateLimiterRes) return verdict(limit, false, answer)
    throw answer
  }
}

const verdict = (limit: Limit, allowed: boolean, answer: RateLimiterRes): Verdict => ({
  allowed,
  limit: limit.points,
  remaining: answer.remainingPoints,
  resetSeconds: Math.ceil(answer.msBeforeNext / 1000),
})

async function within<Result>(ms: number, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
