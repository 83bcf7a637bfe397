import type { Secret } from '../../kit/secret.ts'
import { type Line, line } from './line.ts'

/** How Stripe is reached. */
export interface StripeOptions {
  readonly secretKey: Secret
  /** Public: handed to browsers. */
  readonly publishableKey?: string | undefined
  readonly apiBase?: string | undefined
  readonly timeoutMs?: number | undefined
  readonly now?: (() => Date) | undefined
}

/** What every part of the adapter works with. */
export interface Parts {
  readonly line: Line
  readonly publishableKey: string | undefined
  readonly now: () => Date
}

/** Milliseconds. A card network takes seconds on a bad day. */
const TIMEOUT_MS = 15_000

export const partsOf = (options: StripeOptions): Parts => ({
  line: line({
    secretKey: options.secretKey,
    apiBase: options.apiBase,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
  }),
  publishableKey: options.publishableKey,
  now: options.now ?? (() => new Date()),
})

/** The id of something that Stripe may have expanded. */
export const idOf = (thing: string | { readonly id: string } | null | undefined): string | undefined =>
  typeof thing === 'string' ? thing : thing?.id
