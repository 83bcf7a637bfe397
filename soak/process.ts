import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { HeapAnswer } from './probe.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const PROBE = new URL('probe.ts', import.meta.url).href

/** A busy machine takes some seconds to start a process, or to collect a large heap. */
const STARTED_WITHIN_MS = 60_000
const ANSWER_WITHIN_MS = 30_000
const LOOK_MS = 100

/** As long as containers are given to stop. */
const STOP_WITHIN_MS = 40_000

/** One role of Bursar in a process of its own, whose heap can be asked for. */
export class SoakProcess {
  readonly name: string
  readonly #child: ChildProcess
  readonly #log: string

  private constructor(name: string, child: ChildProcess, log: string) {
    this.name = name
    this.#child = child
    this.#log = log
  }

  static async start(name: string, env: Readonly<Record<string, string>>, log: string): Promise<SoakProcess> {
    const output = openSync(log, 'w')
    const { PATH, HOME, NODE_COMPILE_CACHE } = process.env
    const child = spawn(process.execPath, ['--expose-gc', '--import', PROBE, MAIN, name], {
      env: { PATH, HOME, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }), ...env },
      stdio: ['ignore', output, output, 'ipc'],
    })
    closeSync(output)
    const started = new SoakProcess(name, child, log)
    await started.#saysStarted()
    return started
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Bytes that are held, after a full collection. */
  async heap(): Promise<number> {
    this.#expectRunning()
    this.#child.send('heap')
    const [answer] = (await once(this.#child, 'message', { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })) as [
      HeapAnswer,
    ]
    return answer.heap
  }

  /** As an operator would; one that does not stop is killed, and that is an error. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_WITHIN_MS)
    this.#child.kill('SIGTERM')
    await exited
    clearTimeout(late)
    if (this.#child.exitCode !== 0) throw new Error(`${this.name} did not stop cleanly; its log is ${this.#log}`)
  }

  async #saysStarted(): Promise<void> {
    const deadline = performance.now() + STARTED_WITHIN_MS
    while (!readFileSync(this.#log, 'utf8').includes('"msg":"Started"')) {
      this.#expectRunning()
      if (performance.now() > deadline) throw new Error(`${this.name} did not start:\n${readFileSync(this.#log)}`)
      await pause(LOOK_MS)
    }
  }

  #expectRunning(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) return
    throw new Error(`${this.name} ended:\n${readFileSync(this.#log, 'utf8').slice(-2_000)}`)
  }
}
