import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'

/** The unprivileged OS user that runs PostgreSQL when we are root, as PostgreSQL refuses to be. */
export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** The end of every sentence about a machine on which the packaged PostgreSQL cannot live. */
export const WAY_OUT = 'Otherwise set DATABASE_URL to a PostgreSQL of your own, or run Bursar as an ordinary user'

/** Undefined: we are an ordinary user and run it ourselves. Data that exists stays with whoever owns it. */
export function accountFor(existingData: string | undefined): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  return ownerOf(existingData) ?? known('postgres') ?? known('bursar') ?? created('bursar') ?? known('nobody') ?? NOBODY
}

/** The number that Linux gives to nobody, for images without a user table. */
const NOBODY: Account = { name: 'nobody', uid: 65_534, gid: 65_534 }

function ownerOf(data: string | undefined): Account | undefined {
  const owner = data === undefined ? undefined : statSync(data, { throwIfNoEntry: false })
  return owner === undefined || owner.uid === 0
    ? undefined
    : { name: `OS user ${owner.uid}`, uid: owner.uid, gid: owner.gid }
}

function known(name: string): Account | undefined {
  const [uid, gid] = ['-u', '-g'].map((which) => {
    const { status, stdout } = spawnSync('id', [which, name], { encoding: 'utf8' })
    return status === 0 ? Number(stdout) : 0
  })
  return uid === undefined || gid === undefined || uid === 0 ? undefined : { name, uid, gid }
}

function created(name: string): Account | undefined {
  spawnSync('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/bin/false', name])
  return known(name)
}

/** Everybody may stand in `/`; our own folder may be closed to the account, and our environment is none of its business. */
export function processOptions(account: Account | undefined) {
  return {
    cwd: '/',
    env: { LANG: 'C', LC_ALL: 'C', PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin' },
    ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
  }
}

/** Runs a shell line as the account, with `$1` set, and returns what it complained about; undefined if it succeeded. */
export function complaintOf(account: Account | undefined, line: string, argument: string): string | undefined {
  const options = processOptions(account)
  const { status, stderr, error } = spawnSync('/bin/sh', ['-c', line, 'sh', argument], { ...options, encoding: 'utf8' })
  return status === 0
    ? undefined
    : error?.message || stderr.trim() || `${argument} is closed to ${account?.name ?? 'us'}`
}
