import { randomInt } from 'node:crypto'
import { isFree } from '../../src/platform/embedded-postgres/access.ts'

/** Below those that systems give to outgoing connections (Linux: from 32,768), one of which could take it meanwhile. */
const FROM = 12_000
const UNTIL = 32_000

const TRIES = 100

/** A port of 127.0.0.1 that nobody listens on now, nor is likely to before it is used. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = randomInt(FROM, UNTIL)
    if (await isFree(port)) return port
  }
  throw new Error('Found no free port')
}
