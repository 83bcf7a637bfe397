import { setTimeout as pause } from 'node:timers/promises'
import type { Dice } from './random.ts'
import type { Outcome, Records, Told, Wish } from './records.ts'

/** How long a client waits before it asks again, in milliseconds. */
const AGAIN_MS = 100

/** A client that hears nothing for so long, beyond what it offered to wait, gives the connection up and asks again. */
const PATIENCE_MS = 4_000

/** Milliseconds after which even a patient client gives up: the audit finds what was never accepted. */
const GIVES_UP_MS = 300_000

/** Seconds of one long poll. */
const POLL_SECONDS = 5

interface Answer {
  readonly status: number
  readonly operationId: string | null
  readonly body: unknown
}

/** A caller who relies on nothing: on any doubt it asks again, under the same key, at another door. */
export class Client {
  readonly dice: Dice
  readonly #doors: readonly string[]
  readonly #records: Records
  #door: number

  constructor(parts: { doors: readonly string[]; records: Records; dice: Dice }) {
    this.#doors = parts.doors
    this.#records = parts.records
    this.dice = parts.dice
    this.#door = parts.dice.between(0, parts.doors.length - 1)
  }

  /** Asks under a new key until it is accepted or done. `wait`: seconds to wait for the outcome with the request. */
  submit(wish: Wish, options: { readonly wait?: number } = {}): Promise<Told> {
    return this.repeat(this.#records.open(wish), options)
  }

  /** Asks under a key that was used before. */
  async repeat(told: Told, { wait }: { readonly wait?: number } = {}): Promise<Told> {
    const until = performance.now() + GIVES_UP_MS
    while (performance.now() < until) {
      const answer = await this.#ask(told, wait)
      if (answer !== undefined && this.#understood(told, answer)) break
      told.doubts += 1
      await pause(AGAIN_MS)
    }
    return told
  }

  /** The same key with another body. Resolves when the door has said what it thinks of that. */
  async misuse(told: Told, body: unknown): Promise<void> {
    for (;;) {
      const answer = await this.#ask({ ...told, body }, undefined)
      if (answer !== undefined && answer.status < 500) {
        if (answer.status !== 422 || codeOf(answer.body) !== 'intake.keyReused')
          this.#records.unexpected(told, `${said(answer)} when its key came with another body`)
        return
      }
      await pause(AGAIN_MS)
    }
  }

  /** Polls until there is an outcome. Undefined when there is none within so many seconds, or it is stuck. */
  async follow(told: Told, seconds: number): Promise<Outcome | undefined> {
    const until = performance.now() + seconds * 1_000
    while (told.outcome === undefined && performance.now() < until) {
      const answer = await this.#fetch('GET', `/api/v1/operations/${told.operationId}`, {
        prefer: `wait=${POLL_SECONDS}`,
        ...(told.authorization === undefined ? {} : { authorization: told.authorization }),
      })
      if (answer?.status === 200) {
        const { status, result, error } = answer.body as { status: string; result: unknown; error: unknown }
        if (status === 'succeeded') this.#records.outcome(told, { status, result })
        else if (status === 'failed') this.#records.outcome(told, { status, code: codeOf(error) })
        else if (status === 'stuck') return undefined
        continue
      }
      if (answer !== undefined && answer.status !== 503) this.#records.unexpected(told, `${said(answer)} to a poll`)
      await pause(AGAIN_MS)
    }
    return told.outcome
  }

  /** False when the answer leaves a doubt: nothing, or «come back». */
  #understood(told: Told, answer: Answer): boolean {
    const { status, body } = answer
    if (status === 503 || status === 429) return false
    if (status === 202) {
      const { operation_id: id } = body as { operation_id?: unknown }
      if (typeof id === 'string') {
        this.#records.operation(told, id)
        return true
      }
    } else if (answer.operationId !== null && (status === 200 || status === 502 || (status >= 400 && status < 500))) {
      this.#records.operation(told, answer.operationId)
      this.#records.outcome(
        told,
        status === 200 ? { status: 'succeeded', result: body } : { status: 'failed', code: codeOf(body) },
      )
      return true
    }
    this.#records.unexpected(told, said(answer))
    return false
  }

  async #ask(told: Told, wait: number | undefined): Promise<Answer | undefined> {
    told.asked += 1
    return await this.#fetch(
      told.method,
      told.path,
      {
        'idempotency-key': told.key,
        ...(wait === undefined ? {} : { prefer: `wait=${wait}` }),
        ...(told.authorization === undefined ? {} : { authorization: told.authorization }),
        ...(told.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      told.body,
    )
  }

  /** Undefined when there is no whole answer; the next request goes to another door then. */
  async #fetch(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: unknown,
  ): Promise<Answer | undefined> {
    const seconds = Number(headers.prefer?.slice('wait='.length) ?? 0)
    try {
      const response = await fetch(`${this.#doors[this.#door]}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(PATIENCE_MS + seconds * 1_000),
      })
      const { status } = response
      return { status, operationId: response.headers.get('operation-id'), body: await response.json() }
    } catch {
      this.#door = (this.#door + 1) % this.#doors.length
      return undefined
    }
  }
}

/** Our own code, also where `code` is the one that a seed's clients know. */
const codeOf = (body: unknown): string => {
  const { code, refusal = code } = (body ?? {}) as { code?: unknown; refusal?: unknown }
  return typeof refusal === 'string' ? refusal : 'no code'
}

const said = ({ status, body }: Answer): string => `${status} ${JSON.stringify(body).slice(0, 200)}`
