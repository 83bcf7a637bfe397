import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'

const running = new Set<ChildProcess>()

// A test that failed half-way leaves nothing running.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** One `redis-server` process among several: it keeps its port and its folder when it is killed and started again. */
export class RedisProcess {
  readonly port: number
  readonly url: string
  readonly #home = mkdtempSync(join(tmpdir(), 'bursar-redis-'))
  readonly #args: readonly string[]
  #process: ChildProcess | undefined
  #silent = false

  /** `args` follow the port, the address and the folder; the first may be a configuration file. */
  constructor(port: number, args: (home: string) => readonly string[]) {
    this.port = port
    this.url = `redis://127.0.0.1:${port}`
    this.#args = args(this.#home)
  }

  /** Alive, and answering. */
  get running(): boolean {
    return this.#alive && !this.#silent
  }

  get #alive(): boolean {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** Starts it, or lets it speak again. Resolves when it answers, be it with a refusal. */
  async start(): Promise<void> {
    if (this.#silent) this.#process?.kill('SIGCONT')
    else this.#spawn()
    this.#silent = false
    await this.ask('ping')
  }

  #spawn(): void {
    const [first = '', ...others] = this.#args
    const place = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#home]
    const args = first.startsWith('--') ? [...place, first, ...others] : [first, ...place, ...others]
    const child = spawn('redis-server', args, { stdio: 'ignore' })
    this.#process = child
    running.add(child)
    child.once('exit', () => running.delete(child))
  }

  /** `kill -9`. Does nothing to one that is dead already. */
  async kill(): Promise<void> {
    if (!this.#alive) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#process?.once('exit', () => resolve())
    this.#process?.kill('SIGKILL')
    await promise
    this.#silent = false
  }

  /** It keeps its connections and hears, and says nothing: what a hung host looks like from outside. */
  silence(): void {
    this.#process?.kill('SIGSTOP')
    this.#silent = true
  }

  /** The answer to one command, on a connection of its own. */
  async ask(command: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const client = new Redis(this.url, { maxRetriesPerRequest: PATIENCE, retryStrategy: () => AGAIN_MS })
    client.on('error', () => {})
    try {
      return await client.call(command, ...args)
    } finally {
      client.disconnect()
    }
  }

  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.#home, { recursive: true, force: true })
  }
}

/** Together twenty seconds, which a process that starts on a busy machine may need. */
const PATIENCE = 1_000
const AGAIN_MS = 20
