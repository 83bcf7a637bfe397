import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Fault } from '../../kit/fault.ts'
import { type Account, processOptions } from './account.ts'
import type { Binaries } from './binaries.ts'
import { clearOldLogs, listenTo } from './logs.ts'
import { processFacts } from './processes.ts'

/** The living server of one data directory. */
export interface Postmaster {
  readonly pid: number
  readonly identity: string
  readonly port: number
}

/** The server ended before it was ready. */
export class StartFailure extends Fault {
  override name = 'StartFailure'
  /** It may well start in a moment: what holds it up is about to go. */
  readonly passing: boolean

  constructor(reason: string) {
    super(`PostgreSQL did not start: ${reason}`)
    this.passing = PASSING.test(reason)
  }
}

/** Children of a killed server still hold its memory, or somebody took the port since we looked. */
const PASSING = /pre-existing shared memory block|lock file "postmaster.pid" already exists|could not bind/

/** Crash recovery replays at most the WAL between checkpoints (2 GB): minutes on a slow disk. */
const READY_MS = 300_000

/** A fast shutdown writes out what is in memory. Then it is told to drop everything, which costs a recovery but no data. */
const FAST_SHUTDOWN_MS = 60_000
const IMMEDIATE_SHUTDOWN_MS = 10_000

const POLL_MS = 10

/** The lines of postmaster.pid, as PostgreSQL's pidfile.h numbers them. */
const PID_LINE = 0
const PORT_LINE = 3
const STATUS_LINE = 7

export function livingPostmaster(dataDir: string): Postmaster | undefined {
  const lines = pidFile(dataDir)
  const pid = Number(lines?.[PID_LINE])
  const facts = pid > 0 ? processFacts(pid) : undefined
  if (facts === undefined || !serves(facts.command, dataDir)) return undefined
  return { pid, identity: facts.identity, port: Number(lines?.[PORT_LINE]) }
}

/** Just as we start it, and as no child of it calls itself. */
const serves = (command: string, dataDir: string): boolean => command.endsWith(`postgres -D ${dataDir}`)

/** Started by hand, with options: not ours to adopt, and not ours to disown. */
const mayServe = (command: string, dataDir: string): boolean =>
  command.includes('postgres') && command.includes(dataDir)

function pidFile(dataDir: string): string[] | undefined {
  try {
    return readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')
  } catch {
    return undefined
  }
}

/** Above what any system gives to a process. */
const NOBODYS_PID = 2 ** 31 - 1

/**
 * A pid file whose pid now belongs to somebody else (or to a zombie) would keep the server from starting. Only the pid is
 * struck out: the file also names the shared memory by which PostgreSQL finds out that children of the old server still live.
 */
export function disownStalePidFile(dataDir: string): void {
  const lines = pidFile(dataDir)
  const command = processFacts(Number(lines?.[PID_LINE]))?.command
  if (lines === undefined || (command !== undefined && mayServe(command, dataDir))) return
  writeFileSync(join(dataDir, 'postmaster.pid'), [NOBODYS_PID, ...lines.slice(1)].join('\n'))
}

/** The server in a session of its own: Ctrl-C is for us, who end it in our own order. It outlives us if we are killed. */
export async function startPostmaster(options: {
  binaries: Binaries
  dataDir: string
  account: Account | undefined
  log: string
}): Promise<Postmaster> {
  const { binaries, dataDir, account, log } = options
  clearOldLogs(dataDir)
  const said = listenTo(log, dataDir)
  const output = openSync(log, 'w', 0o600)
  const child = spawn(binaries.postgres, ['-D', dataDir], {
    ...processOptions(account),
    detached: true,
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  child.unref()
  let ended: string | undefined
  child.once('error', (error) => {
    ended = error.message
  })
  child.once('exit', (code, signal) => {
    ended = `${said()} (${signal ?? `exit code ${code}`}; see ${log} and ${join(dataDir, 'log')})`
  })

  const deadline = Date.now() + READY_MS
  while (Date.now() < deadline) {
    if (ended !== undefined) throw new StartFailure(ended)
    if (isReady(dataDir, child.pid)) {
      const postmaster = livingPostmaster(dataDir)
      if (postmaster !== undefined) return postmaster
    }
    await pause(POLL_MS)
  }
  child.kill('SIGQUIT')
  throw new StartFailure(`it is not ready after ${READY_MS / 1000} s: ${said()}`)
}

/** Also for one that is still recovering. False if it went away, is going, or does not get on. */
export async function untilReady(postmaster: Postmaster, dataDir: string): Promise<boolean> {
  const deadline = Date.now() + READY_MS
  while (Date.now() < deadline && isAlive(postmaster)) {
    if (isReady(dataDir, postmaster.pid)) return true
    if (pidFile(dataDir)?.[STATUS_LINE]?.startsWith('stopping')) return false
    await pause(POLL_MS)
  }
  return false
}

function isReady(dataDir: string, pid: number | undefined): boolean {
  const lines = pidFile(dataDir)
  return Number(lines?.[PID_LINE]) === pid && lines?.[STATUS_LINE]?.trim() === 'ready'
}

export async function stopPostmaster(postmaster: Postmaster): Promise<void> {
  if (await endedAfter(postmaster, 'SIGINT', FAST_SHUTDOWN_MS)) return
  // One that is suspended takes no signal but this.
  if (await endedAfter(postmaster, 'SIGQUIT', IMMEDIATE_SHUTDOWN_MS)) return
  if (await endedAfter(postmaster, 'SIGKILL', IMMEDIATE_SHUTDOWN_MS)) return
  throw new Fault(`PostgreSQL (pid ${postmaster.pid}) does not stop`)
}

async function endedAfter(postmaster: Postmaster, signal: NodeJS.Signals, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs
  if (isAlive(postmaster)) send(postmaster.pid, signal)
  while (isAlive(postmaster)) {
    if (Date.now() > deadline) return false
    await pause(POLL_MS)
  }
  return true
}

const isAlive = ({ pid, identity }: Postmaster): boolean => processFacts(pid)?.identity === identity

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended by itself in between, which is what was wanted.
  }
}
