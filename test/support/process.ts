import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

const running = new Set<ChildProcess>()

// A test that failed half-way leaves nothing running.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A Bursar process of its own, as an operator would start it. */
export class BursarProcess {
  readonly process: ChildProcess
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  output = ''
  readonly #hearers = new Set<() => void>()

  private constructor(process: ChildProcess) {
    this.process = process
    const { promise, resolve } = Promise.withResolvers<{ code: number | null; signal: NodeJS.Signals | null }>()
    this.exited = promise
    process.once('exit', (code, signal) => resolve({ code, signal }))
    for (const stream of [process.stdout, process.stderr]) {
      stream?.on('data', (chunk: unknown) => {
        this.output += String(chunk)
        for (const hear of this.#hearers) hear()
      })
    }
    running.add(process)
    process.once('exit', () => running.delete(process))
  }

  /** Resolves when the process says that it has started; rejects with its last words when it ends before. */
  static async start(roles: readonly string[], env: Readonly<Record<string, string>>): Promise<BursarProcess> {
    const { PATH, HOME, NODE_COMPILE_CACHE } = process.env
    const child = spawn(process.execPath, [MAIN, ...roles], {
      env: { PATH, HOME, NODE_COMPILE_CACHE, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const started = new BursarProcess(child)
    await started.saying('"msg":"Started"')
    return started
  }

  /** Resolves when the output holds this text. */
  saying(text: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const hear = () => {
      if (!this.output.includes(text)) return
      this.#hearers.delete(hear)
      resolve()
    }
    this.#hearers.add(hear)
    hear()
    this.process.once('exit', (code) =>
      reject(new Error(`It ended with ${code} before it said ${text}:\n${this.output}`)),
    )
    return promise
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL') {
    this.process.kill(signal)
    return this.exited
  }
}
