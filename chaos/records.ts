import { isDeepStrictEqual } from 'node:util'
import { newCredential } from '../src/kit/ids.ts'
import type { Finding } from './finding.ts'

/** A final outcome, as a caller is told it. */
export type Outcome =
  | { readonly status: 'succeeded'; readonly result: unknown }
  | { readonly status: 'failed'; readonly code: string }

/** What a client means to ask. */
export interface Wish {
  readonly kind: string
  readonly method: 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly authorization?: string
}

/** One idempotency key, and everything that its client was ever told about it. */
export interface Told extends Wish {
  readonly key: string
  /** Requests under this key, and how many of them had no answer to rely on. */
  asked: number
  doubts: number
  operationId?: string
  outcome?: Outcome
}

/** What callers were told. Whatever contradicts itself is noted at once; the audit holds the rest against the books. */
export class Records {
  readonly #told: Told[] = []
  readonly findings: Finding[] = []

  /** A new wish under a key of its own. */
  open(wish: Wish): Told {
    const told: Told = { ...wish, key: newCredential(), asked: 0, doubts: 0 }
    this.#told.push(told)
    return told
  }

  get all(): readonly Told[] {
    return this.#told
  }

  /** The same key always names the same operation. */
  operation(told: Told, operationId: string): void {
    if (told.operationId !== undefined && told.operationId !== operationId)
      this.#finds('doubled', told, `named operation ${told.operationId} first, and ${operationId} later`)
    told.operationId ??= operationId
  }

  /** An outcome that was told never changes. */
  outcome(told: Told, outcome: Outcome): void {
    if (told.outcome !== undefined && !isDeepStrictEqual(told.outcome, outcome))
      this.#finds('told', told, `ended ${JSON.stringify(told.outcome)} first, and ${JSON.stringify(outcome)} later`)
    told.outcome ??= outcome
  }

  unexpected(told: Told, answer: string): void {
    this.#finds('answer', told, `was answered with ${answer}`)
  }

  #finds(sort: Finding['sort'], { kind, key, operationId }: Told, says: string): void {
    this.findings.push({ sort, says: `${kind} (key ${key}, operation ${operationId ?? 'unknown'}) ${says}` })
  }
}
