import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

/** Milliseconds until a process that ended by itself is started again, as a supervisor would. */
const AGAIN_MS = 500

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** One Bursar process and its supervisor: whatever it dies of, it is started again, until it is told to stop. */
export class Role {
  readonly name: string
  /** How often it ended after it had started, without anybody having asked for it. */
  readonly crashes: string[] = []
  /** How often it could not start, for instance because the database was away. */
  failedStarts = 0
  readonly #roles: readonly string[]
  readonly #env: Readonly<Record<string, string>>
  readonly #log: WriteStream
  #child: ChildProcess | undefined
  #wanted = false
  #up = false
  #again: NodeJS.Timeout | undefined

  constructor(options: {
    readonly name: string
    readonly roles: readonly string[]
    readonly env: Readonly<Record<string, string>>
    /** A file for all that it says. */
    readonly log: string
  }) {
    this.name = options.name
    this.#roles = options.roles
    this.#env = options.env
    this.#log = createWriteStream(options.log, { flags: 'a' })
  }

  /** Resolves when it says that it has started; later starts, after it died, are nobody's to wait for. */
  start(): Promise<void> {
    this.#wanted = true
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#spawn(resolve)
    return promise
  }

  /** Whether it runs, and has said so. */
  get up(): boolean {
    return this.#up
  }

  /** `kill -9`; it stays dead until it is started. */
  async kill(): Promise<void> {
    this.#wanted = false
    await this.#end('SIGKILL')
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** As an operator stops it. Answers with how it ended. */
  async stop(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.#wanted = false
    const ended = await this.#end('SIGTERM')
    await new Promise((resolve) => this.#log.end(resolve))
    return ended
  }

  #spawn(started: () => void): void {
    const { PATH, HOME, NODE_COMPILE_CACHE } = process.env
    const child = spawn(process.execPath, [MAIN, ...this.#roles], {
      env: { PATH, HOME, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }), ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    running.add(child)
    this.#up = false
    child.stdout.on('data', (chunk: Buffer) => {
      this.#log.write(chunk)
      if (this.#child !== child || this.#up || !chunk.includes('"msg":"Started"')) return
      this.#up = true
      started()
    })
    child.stderr.on('data', (chunk: Buffer) => this.#log.write(chunk))
    child.once('exit', (code, signal) => {
      running.delete(child)
      if (this.#child !== child || !this.#wanted) return
      if (this.#up) this.crashes.push(`${this.name} ended by itself with ${signal ?? `exit code ${code}`}`)
      else this.failedStarts += 1
      this.#up = false
      this.#again = setTimeout(() => this.#wanted && this.#spawn(started), AGAIN_MS)
    })
  }

  async #end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    clearTimeout(this.#again)
    this.#up = false
    const child = this.#child
    if (child === undefined) return { code: 0, signal: null }
    if (child.exitCode !== null || child.signalCode !== null) return { code: child.exitCode, signal: child.signalCode }
    const { promise, resolve } = Promise.withResolvers<{ code: number | null; signal: NodeJS.Signals | null }>()
    child.once('exit', (code, by) => resolve({ code, signal: by }))
    child.kill(signal)
    return promise
  }
}
