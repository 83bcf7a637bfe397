import { createHash, randomFillSync, randomUUID } from 'node:crypto'
import { v7 } from 'uuid'

/** Random bytes are fetched for this many ids at once: fetching them one by one was the dearest part of an id. */
const POOLED_IDS = 512
const BYTES = 16

const pool = new Uint8Array(POOLED_IDS * BYTES)
let used = pool.length
let lastMs = 0
let sequence = 0

/**
 * A new UUIDv7: grows with time, so that indexes grow at their right edge and tables can be cut by id range. Ids of one
 * process sort in the order in which they were made.
 */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const random = pool.subarray(used, used + BYTES)
  used += BYTES
  const now = Date.now()
  if (now > lastMs) {
    lastMs = now
    sequence = 0
  } else sequence += 1
  return v7({ random, msecs: lastMs, seq: sequence })
}

/** A new random UUIDv4, for ids that are credentials: nothing about it can be guessed. */
export const newCredential = (): string => randomUUID()

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export const isUuid = (text: string): boolean => UUID.test(text)

/** How an id is written for callers: `txn_019aa…`, so that a log line tells what it names. */
export const publicId = (prefix: string, id: string): string => `${prefix}_${id.replaceAll('-', '')}`

/** The UUID behind a public id, or behind itself; undefined when it is neither. */
export function fromPublicId(prefix: string, written: string): string | undefined {
  if (isUuid(written)) return written.toLowerCase()
  if (!written.startsWith(`${prefix}_`)) return undefined
  const hex = written.slice(prefix.length + 1).toLowerCase()
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  return isUuid(id) ? id : undefined
}

/** The UUID (version 8) that belongs to a name for ever, for rows that every process must be able to name without asking. */
export function namedId(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** The smallest UUIDv7 of an instant: everything minted before it sorts below. */
export function firstIdAt(instant: Date): string {
  const hex = instant.getTime().toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7000-8000-000000000000`
}
