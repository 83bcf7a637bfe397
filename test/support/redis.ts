import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from './port.ts'

/** A Redis of a test's own, with an append-only file, that can be killed, flushed and started again. */
export class RedisServer {
  readonly url: string
  readonly #port: number
  readonly #home: string
  #process: ChildProcess | undefined

  private constructor(port: number, home: string) {
    this.#port = port
    this.#home = home
    this.url = `redis://127.0.0.1:${port}`
  }

  static async start(): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), mkdtempSync(join(tmpdir(), 'bursar-redis-')))
    await server.start()
    return server
  }

  async start(): Promise<void> {
    this.#process = spawn(
      'redis-server',
      ['--port', String(this.#port), '--bind', '127.0.0.1', '--dir', this.#home, '--appendonly', 'yes', '--save', ''],
      { stdio: 'ignore' },
    )
    await this.#asked((client) => client.ping())
  }

  async kill(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#process?.once('exit', () => resolve())
    this.#process?.kill('SIGKILL')
    await promise
  }

  /** SIGSTOP: it hears and says nothing, and keeps its connections. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process?.kill(signal)
  }

  flush(): Promise<unknown> {
    return this.#asked((client) => client.flushall())
  }

  async stop(): Promise<void> {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) await this.kill()
    rmSync(this.#home, { recursive: true, force: true })
  }

  async #asked<Answer>(ask: (client: Redis) => Promise<Answer>): Promise<Answer> {
    const client = new Redis(this.url, { maxRetriesPerRequest: 1_000, retryStrategy: () => 20 })
    client.on('error', () => {})
    try {
      return await ask(client)
    } finally {
      client.disconnect()
    }
  }
}
