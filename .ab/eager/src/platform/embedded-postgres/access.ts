import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Fault } from '../../kit/fault.ts'
import { isInitialised } from './data-directory.ts'

/** How one gets in: kept beside the data, readable by its owner only. */
export interface Access {
  readonly user: string
  readonly password: string
  /** Where the server listened last. */
  readonly port?: number
}

const USER = 'bursar'

const FILE = 'postgres-access.json'

/** The password goes to the disk before the data that it opens. */
export function theAccess(home: string, dataDir: string): Access {
  const file = join(home, FILE)
  if (existsSync(file)) return parse(file)
  if (isInitialised(dataDir))
    throw new Fault(`${file} is missing, and ${dataDir} does not open without it: bring it back, or remove both`)
  const access = { user: USER, password: randomBytes(24).toString('hex') }
  rememberAccess(home, access)
  return access
}

export function rememberAccess(home: string, access: Access): void {
  const file = join(home, FILE)
  writeFileSync(`${file}.new`, `${JSON.stringify(access, undefined, 2)}\n`, { mode: 0o600, flush: true })
  renameSync(`${file}.new`, file)
}

function parse(file: string): Access {
  try {
    const { user, password, port } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
    if (typeof user === 'string' && typeof password === 'string')
      return { user, password, ...(typeof port === 'number' ? { port } : {}) }
  } catch (cause) {
    throw new Fault(`${file} cannot be read: bring it back, or run as its owner`, { cause })
  }
  throw new Fault(`${file} names no user and password: bring it back from a copy`)
}

export const isFree = async (port: number): Promise<boolean> => (await listenOnce(port)) !== undefined

export async function freePort(): Promise<number> {
  const port = await listenOnce(0)
  if (port === undefined) throw new Fault('No port of 127.0.0.1 is free')
  return port
}

function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : undefined))
    })
  })
}

/** Where the server of a home listened last, if it ever did: for commands beside a Bursar that is running. */
export function lastUrl(home: string, database = 'bursar'): string | undefined {
  const file = join(home, FILE)
  if (!existsSync(file)) return undefined
  const { user, password, port } = parse(file)
  return port === undefined ? undefined : urlOf({ user, password, port }, database)
}

export const urlOf = (access: { user: string; password: string; port: number }, database: string): string =>
  `postgresql://${access.user}:${access.password}@127.0.0.1:${access.port}/${database}`
