import { type ChildProcess, spawn } from 'node:child_process'
import { openSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** What a process of ours writes when it is ready, Bursar's log among them. */
export const STARTED = '"msg":"Started"'

/** How often a starting process is looked at, and how long it may take. */
const LOOK_MS = 20
const START_MS = 60_000

/** How Node is started: as `npm start` does, and for the peers and the load as well. */
const NODE = ['--use-largepages=silent']

const running = new Set<ChildProcess>()

// Whatever ends the benchmark, nothing of it stays behind.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))

export interface Running {
  readonly pid: number
  stop(): Promise<void>
}

/**
 * Starts one of our processes and waits until it is ready. It logs into a file, so that reading its log costs the
 * machine nothing while it is measured.
 */
export async function start(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  log: string,
): Promise<Running> {
  const output = openSync(log, 'a')
  const child = spawn(process.execPath, [...NODE, file(script), ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', output, output],
  })
  running.add(child)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  void ended.then(() => running.delete(child))
  const deadline = Date.now() + START_MS
  while (!readFileSync(log, 'utf8').includes(STARTED)) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`${script} ${args.join(' ')} did not start:\n${readFileSync(log, 'utf8').slice(-2_000)}`)
    await pause(LOOK_MS)
  }
  return {
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM')
      const hard = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await ended
      clearTimeout(hard)
    },
  }
}

/** Runs one of our scripts to its end: it reads what is asked from its input, and prints its answer, both as JSON. */
export async function ask<Answer>(
  script: string,
  asked: unknown,
  env: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const child = spawn(process.execPath, [...NODE, file(script)], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  running.add(child)
  const { promise: ended, resolve, reject } = Promise.withResolvers<number | null>()
  child.once('error', reject)
  child.once('close', resolve)
  child.stdin.end(JSON.stringify(asked))
  let answer = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    answer += text
  })
  const code = await ended
  running.delete(child)
  if (code !== 0) throw new Error(`${script} ended with ${code}`)
  return JSON.parse(answer) as Answer
}

/** What a script that is run by `ask` was asked. */
export const asked = <Order>(): Order => JSON.parse(readFileSync(0, 'utf8')) as Order
