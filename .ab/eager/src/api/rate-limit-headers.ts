import type { Verdict } from '../platform/rate-limit.ts'

/** The headers of draft-ietf-httpapi-ratelimit-headers-03, which clients know, and Retry-After where the answer is 429. */
export function rateLimitHeaders(verdict: Verdict): Record<string, string> {
  return {
    'RateLimit-Limit': String(verdict.limit),
    'RateLimit-Remaining': String(verdict.remaining),
    'RateLimit-Reset': String(verdict.resetSeconds),
    ...(verdict.allowed ? {} : { 'Retry-After': String(Math.max(verdict.resetSeconds, 1)) }),
  }
}
