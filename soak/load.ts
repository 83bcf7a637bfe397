import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SignJWT } from 'jose'

export interface LoadOrder {
  readonly url: string
  readonly jwtSecret: string
  readonly clients: number
}

export interface LoadCounts {
  /** Operations that were accepted. */
  readonly accepted: number
  /** Answers that sent a client away to come back. */
  readonly sentAway: number
  /** Connections that ended without an answer, as a kept one does whose server was about to close it. */
  readonly cutOff: number
  /** Answers that nobody should get. */
  readonly wrong: number
}

/** A client takes a token, spends it in bursts, reads what is left, gives it back, and is somebody else after that. */
const BURSTS = 10
const BURST = 20
const BUDGET = 100_000
const WEALTHY = `limits_${BUDGET}_${BUDGET}_${BUDGET}`

const NO_ANSWER = { status: 0, body: {} }
const COME_BACK_MS = 50
const TELL_EVERY_MS = 500

/** The load in a process of its own, so that making it shares no memory with what is looked at. */
export class Load {
  readonly #child = fork(fileURLToPath(import.meta.url), ['load'])
  counts: LoadCounts = { accepted: 0, sentAway: 0, cutOff: 0, wrong: 0 }

  constructor(order: LoadOrder) {
    this.#child.on('message', (counts) => {
      this.counts = counts as LoadCounts
    })
    this.#child.send(order)
  }

  /** Throws when there is no load any more: a run without one would be flat. */
  expectRunning(): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) throw new Error('The load ended by itself')
  }

  /** Resolves when every client has ended what it had begun. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.send('stop')
    await exited
  }
}

class Clients {
  readonly #order: LoadOrder
  readonly #agent = new Agent({ keepAlive: true })
  readonly #counts = { accepted: 0, sentAway: 0, cutOff: 0, wrong: 0 }
  stopped = false

  constructor(order: LoadOrder) {
    this.#order = order
  }

  async run(): Promise<void> {
    const telling = setInterval(() => process.send?.(this.#counts), TELL_EVERY_MS)
    await Promise.all(
      Array.from({ length: this.#order.clients }, async () => {
        while (!this.stopped) await this.#oneLife()
      }),
    )
    clearInterval(telling)
    this.#agent.destroy()
    process.send?.(this.#counts)
  }

  async #oneLife(): Promise<void> {
    const jwt = await new SignJWT({})
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(`soak_${randomUUID()}`)
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(this.#order.jwtSecret))
    const issue = { budget: BURSTS * BURST, voice_id: `${WEALTHY}_${randomUUID()}` }
    const { token_id: token } = await this.#outcome('POST', '/token', issue, jwt)
    if (typeof token !== 'string') return
    for (let burst = 0; burst < BURSTS && !this.stopped; burst++) {
      const deduct = `/token/${token}/deduct`
      await Promise.all(Array.from({ length: BURST - 1 }, () => this.#ask('POST', deduct, jwt, { amount: 1 })))
      // Waited for, so that what is accepted never runs away from what is done.
      await this.#outcome('POST', deduct, { amount: 1 }, jwt)
    }
    await this.#ask('GET', `/balance/${token}`, jwt)
    await this.#outcome('DELETE', `/token/${token}`, undefined, jwt)
  }

  #outcome(method: string, path: string, body: unknown, jwt: string): Promise<Record<string, unknown>> {
    return this.#ask(method, path, jwt, body, { Prefer: 'wait=30' })
  }

  async #ask(method: string, path: string, jwt: string, body?: unknown, more = {}): Promise<Record<string, unknown>> {
    const headers = { Authorization: `Bearer ${jwt}`, 'Idempotency-Key': randomUUID(), ...more }
    for (;;) {
      const { status, body: answer } = await this.#once(method, path, headers, body).catch(() => NO_ANSWER)
      if (status === 0) {
        // Asked again under the same key, so that it is done once; not for ever, should the server be gone.
        this.#counts.cutOff += 1
        if (this.stopped) return answer
        await pause(COME_BACK_MS)
        continue
      }
      if (status === 200 || status === 202) {
        if (method !== 'GET') this.#counts.accepted += 1
        return answer
      }
      if (status !== 503 && status !== 429) {
        this.#counts.wrong += 1
        return answer
      }
      this.#counts.sentAway += 1
      await pause(COME_BACK_MS)
    }
  }

  async #once(method: string, path: string, headers: object, body: unknown) {
    const text = body === undefined ? '' : JSON.stringify(body)
    const asking = request(`${this.#order.url}${path}`, {
      agent: this.#agent,
      method,
      headers: { ...headers, ...(text === '' ? {} : { 'Content-Type': 'application/json' }) },
    })
    asking.end(text)
    const [answer] = (await once(asking, 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk)
    const parsed: unknown = JSON.parse(Buffer.concat(chunks).toString() || '{}')
    return { status: answer.statusCode ?? 0, body: (parsed ?? {}) as Record<string, unknown> }
  }
}

if (process.argv[2] === 'load' && process.send !== undefined) {
  const [order] = (await once(process, 'message')) as [LoadOrder]
  const clients = new Clients(order)
  process.once('message', () => {
    clients.stopped = true
  })
  await clients.run()
  process.disconnect()
}
