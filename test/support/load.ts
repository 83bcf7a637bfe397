import { expect, vi } from 'vitest'
import { newCredential, newId } from '../../src/kit/ids.ts'
import type { Deployment } from './deployment.ts'

/** How long a client waits before it asks again, in milliseconds. */
const AGAIN_MS = 50

/** Requests on their way at once. */
const CLIENTS = 40

/** A killed worker is missed after 15 seconds; the rest is for a machine that is busy with other tests. */
const QUIET_WITHIN_MS = 80_000

/** Voices of the sandbox with these limits may have as much as a test wants. */
const BUDGET = 100_000
const WEALTHY = `limits_${BUDGET}_${BUDGET}_${BUDGET}`

/**
 * Clients that deduct 1 again and again from a few tokens, and are careful: each deduction has a key of its own, and is
 * asked for under that key until it is accepted.
 */
export class Load {
  readonly tokens: readonly string[]
  readonly accepted = new Map<string, string>()
  /** Answers that told a client to come back, by status; 0 where there was no answer at all. */
  readonly comeBack: Record<number, number> = {}
  readonly #bursar: Deployment
  readonly #doors: readonly string[]

  private constructor(bursar: Deployment, tokens: readonly string[], doors: readonly string[]) {
    this.#bursar = bursar
    this.tokens = tokens
    this.#doors = doors
  }

  /** `doors`: where to ask, when not at the deployment's own. A client that gets no answer tries the next one. */
  static async on(bursar: Deployment, options: { tokens?: number; doors?: readonly string[] } = {}): Promise<Load> {
    const tokens = Array.from({ length: options.tokens ?? 5 }, () => bursar.issue(BUDGET, `${WEALTHY}_${newId()}`))
    return new Load(bursar, await Promise.all(tokens), options.doors ?? [bursar.door.url])
  }

  /** Asks for so many deductions. Resolves when all are accepted. */
  async run(deductions: number): Promise<void> {
    let asked = 0
    const client = async () => {
      while (asked < deductions) {
        asked += 1
        await this.#deduct(this.tokens[asked % this.tokens.length] ?? '')
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, client))
  }

  /** Resolves when at least so many are accepted. */
  reaches(accepted: number): Promise<void> {
    // Not `expect.poll`: beside a concurrent test that has ended it does not know in which it is.
    return vi.waitFor(() => expect(this.accepted.size).toBeGreaterThanOrEqual(accepted), {
      timeout: 30_000,
      interval: 5,
    })
  }

  async #deduct(token: string): Promise<void> {
    const key = newCredential()
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#ask(this.#doors[attempt % this.#doors.length] ?? '', token, key)
      if (answer.status === 202) {
        this.accepted.set(answer.operationId, token)
        return
      }
      expect([0, 503]).toContain(answer.status)
      this.comeBack[answer.status] = (this.comeBack[answer.status] ?? 0) + 1
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }

  async #ask(door: string, token: string, key: string): Promise<{ status: number; operationId: string }> {
    try {
      const response = await fetch(`${door}/token/${token}/deduct`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
        body: '{"amount":1}',
      })
      const body: unknown = await response.json()
      const { operation_id: id } = body as { operation_id?: unknown }
      return { status: response.status, operationId: typeof id === 'string' ? id : '' }
    } catch {
      return { status: 0, operationId: '' }
    }
  }

  /** Waits until nothing is open any more, and then holds what the clients were told against the books. */
  async expectEachDoneOnce(): Promise<void> {
    const { pool } = this.#bursar
    const nothingIsOpen = async () => {
      const { queued = 0, processing = 0 } = await this.#bursar.statuses('token.deduct')
      expect({ queued, processing }).toEqual({ queued: 0, processing: 0 })
    }
    await vi.waitFor(nothingIsOpen, { timeout: QUIET_WITHIN_MS, interval: 100 })
    const { rows } = await pool.query(
      `select status, (select count(*)::int from transfer where operation_id = operation.id) as transfers, count(*)::int
       from operation where id = any($1) group by 1, 2`,
      [[...this.accepted.keys()]],
    )
    expect(rows).toEqual([{ status: 'succeeded', transfers: 1, count: this.accepted.size }])
    // Each key was asked for until it was accepted, so there is nothing beside what was accepted.
    expect(await this.#bursar.statuses('token.deduct')).toEqual({ succeeded: this.accepted.size })
    for (const token of this.tokens) {
      const taken = [...this.accepted.values()].filter((one) => one === token).length
      expect(await this.#bursar.balance(token)).toBe(BUDGET - taken)
    }
    await this.#bursar.expectCleanBooks()
  }
}
