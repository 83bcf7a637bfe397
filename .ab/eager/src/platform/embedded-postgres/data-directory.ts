import { execFile } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import {
  appendFileSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Fault } from '../../kit/fault.ts'
import type { Access } from './access.ts'
import { type Account, complaintOf, processOptions, WAY_OUT } from './account.ts'
import { type Binaries, makeOutside } from './binaries.ts'
import { INCLUDE_OUR_SETTINGS } from './settings.ts'

/** Where this home has its data, if it was ever given a place: a folder in it, or one that a link in it names. */
export function existingDataDirectory(home: string): string | undefined {
  const place = join(home, 'postgres')
  const entry = lstatSync(place, { throwIfNoEntry: false })
  if (entry === undefined) return undefined
  return entry.isSymbolicLink() ? resolve(home, readlinkSync(place)) : place
}

/** In the home if PostgreSQL's account can live there; otherwise outside, under a name that no other home will ever pick up. */
export function chooseDataDirectory(options: {
  home: string
  account: Account | undefined
  outside: string
  say: (line: string) => void
}): string {
  const { home, account, outside, say } = options
  const place = join(home, 'postgres')
  if (account === undefined || canLiveIn(home, account)) return place
  try {
    makeOutside(outside)
  } catch (cause) {
    throw new Fault(`${account.name} cannot reach ${home}, and ${outside} cannot be made. ${WAY_OUT}`, { cause })
  }
  if (!canLiveIn(outside, account))
    throw new Fault(`${account.name}, who would run PostgreSQL, can reach neither ${home} nor ${outside}. ${WAY_OUT}`)
  const elsewhere = join(realpathSync(outside), randomUUID())
  say(`${account.name}, who runs PostgreSQL, cannot reach ${home}: the data is in ${elsewhere}`)
  // The link comes first: a crash before the data is there leaves a link to follow next time, not data without an owner.
  symlinkSync(elsewhere, place)
  return elsewhere
}

/** Tried with a real folder: parents may be closed, and some file systems do not let go of ownership. */
function canLiveIn(parent: string, account: Account): boolean {
  const probe = join(parent, `probe-${randomBytes(4).toString('hex')}`)
  try {
    makeFor(account, probe)
    return complaintOf(account, 'test -w "$1" && test -x "$1"', probe) === undefined
  } catch {
    return false
  } finally {
    rmSync(probe, { recursive: true, force: true })
  }
}

function makeFor(account: Account | undefined, directory: string): void {
  mkdirSync(directory, { mode: 0o700 })
  if (account !== undefined) chownSync(directory, account.uid, account.gid)
}

/** Makes the data directory if it is not there, under another name until it is whole, so that it is never there by half. */
export async function initialise(options: {
  home: string
  dataDir: string
  account: Account | undefined
  binaries: Binaries
  access: Access
  durable: boolean
  say: (line: string) => void
}): Promise<void> {
  const { home, dataDir, account, binaries, access, durable, say } = options
  if (isInitialised(dataDir)) return checkOpens(dataDir, account, binaries)
  refuseIfGone(dataDir, home, access)
  clearDrafts(dataDir)
  say(`Initialising PostgreSQL ${binaries.major} in ${dataDir}, once`)
  const draft = `${dataDir}${DRAFT}${randomBytes(4).toString('hex')}`
  const passwordFile = `${draft}.password`
  try {
    makeFor(account, draft)
    writeFileSync(passwordFile, access.password, { mode: 0o600 })
    if (account !== undefined) chownSync(passwordFile, account.uid, account.gid)
    const flags = ['-D', draft, `--username=${access.user}`, `--pwfile=${passwordFile}`, ...INITDB_FLAGS]
    await run(binaries.initdb, durable ? flags : [...flags, '--no-sync'], processOptions(account))
    appendFileSync(join(draft, 'postgresql.conf'), INCLUDE_OUR_SETTINGS, { flush: true })
    renameSync(draft, dataDir)
  } catch (cause) {
    const said = (cause as { stderr?: unknown }).stderr
    const reason = typeof said === 'string' && said !== '' ? said.trim() : String(cause)
    throw new Fault(`PostgreSQL could not be initialised in ${dataDir}: ${reason}. ${WAY_OUT}`, { cause })
  } finally {
    rmSync(passwordFile, { force: true })
    rmSync(draft, { recursive: true, force: true })
  }
}

const run = promisify(execFile)

/** UTF-8 compared byte by byte with PostgreSQL's own tables: the same on every machine and after every upgrade of libc. */
const INITDB_FLAGS = [
  '--encoding=UTF8',
  '--locale=C',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--auth=scram-sha-256',
  // Thousands of rounds make a weak password dear to guess. Ours are 24 random bytes, and each connection would pay for them.
  '--set=scram_iterations=1',
]

const DRAFT = '.draft-'

export const isInitialised = (dataDir: string): boolean => existsSync(join(dataDir, 'PG_VERSION'))

function checkOpens(dataDir: string, account: Account | undefined, binaries: Binaries): void {
  const major = readFileSync(join(dataDir, 'PG_VERSION'), 'utf8').trim()
  if (major !== binaries.major)
    throw new Fault(
      `${dataDir} was written by PostgreSQL ${major}, and this Bursar brings ${binaries.major}: ` +
        'dump it with the old version and restore it into the new one',
    )
  const complaint = complaintOf(account, 'test -w "$1" && test -x "$1"', dataDir)
  if (complaint !== undefined)
    throw new Fault(`${dataDir} cannot be opened (${complaint}): move it back, or run as its owner. ${WAY_OUT}`)
}

/** A folder that was removed is meant to begin anew. A link to data that is no longer there is an accident: a disk that is not mounted. */
function refuseIfGone(dataDir: string, home: string, access: Access): void {
  const link = join(home, 'postgres')
  if (access.port !== undefined && lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink())
    throw new Fault(`${dataDir}, which ${link} points to, is gone: bring it back, or remove the link to begin anew`)
}

/** What an interrupted initialisation left behind; an initdb that outlived its parent may still be busy in it, which is harmless. */
function clearDrafts(dataDir: string): void {
  const parent = dirname(dataDir)
  for (const name of readdirSync(parent))
    if (name.startsWith(`${basename(dataDir)}${DRAFT}`))
      rmSync(join(parent, name), { recursive: true, force: true, maxRetries: 3 })
}
