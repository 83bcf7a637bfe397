import { mkdtempSync, readdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '../../kit/assert.ts'
import { Fault } from '../../kit/fault.ts'
import { processFacts } from './processes.ts'

/** Each failed attempt means that somebody else got on in between. */
const ATTEMPTS = 100

/**
 * One process at a time in a home. The lock is a folder with one file, named after its owner (pid, start time). Renaming a
 * prepared folder into place takes a free lock, renaming the owner's file takes over a dead one's: each succeeds for one only.
 */
export function claimHome(home: string): () => void {
  const lock = join(home, 'lock')
  const me = processFacts(process.pid)?.identity
  assert(me !== undefined, 'This process does not find itself')
  const draft = prepareLock(home, me)
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (moved(draft, lock)) return () => release(lock, me)
      const owner = ownerOf(lock)
      if (owner === undefined) continue
      const pid = Number.parseInt(owner, 10)
      if (processFacts(pid)?.identity === owner) throw new Fault(`another Bursar (pid ${pid}) is using ${home}`)
      if (moved(join(lock, owner), join(lock, me))) return () => release(lock, me)
    }
    throw new Fault(`${lock} changes hands all the time`)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

function prepareLock(home: string, owner: string): string {
  try {
    const draft = mkdtempSync(join(home, 'lock-'))
    writeFileSync(join(draft, owner), '')
    return draft
  } catch (cause) {
    throw new Fault(`${home} cannot be written by this OS user: run as its owner`, { cause })
  }
}

function moved(from: string, to: string): boolean {
  try {
    renameSync(from, to)
    return true
  } catch {
    return false
  }
}

function ownerOf(lock: string): string | undefined {
  try {
    return readdirSync(lock)[0]
  } catch {
    return undefined
  }
}

function release(lock: string, me: string): void {
  rmSync(join(lock, me), { force: true })
  try {
    rmdirSync(lock)
  } catch {
    // Somebody already claimed it again.
  }
}
