/**
 * The world is unwell: a network, a database, somebody else's service. Worth another try by the kind's policy.
 * The message is shown to operators and stored with the operation, so it names no secret.
 */
export class Fault extends Error {
  override name = 'Fault'
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
  }
}

/**
 * PostgreSQL error classes that say nothing about our statement: connection (08), transaction rollback such as deadlock or
 * serialization (40), resources (53), operator intervention such as a restart (57), system errors (58). Lock timeout is 55P03.
 */
const TRANSIENT_SQLSTATE = /^(08|40|53|57|58)|^55P03$/

/** Node's own names for a connection that failed. */
const TRANSIENT_SOCKET = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'ENOENT',
  'EAI_AGAIN',
])

/** `pg` reports a lost or unobtainable connection as a plain Error: these are the sentences it uses. */
const TRANSIENT_SENTENCE =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Connection is closed|not queryable|Query read timeout/i

/** A statement that PostgreSQL holds ready for us was made for a table as it was before a migration. */
export const OUT_OF_DATE = /cached plan must not change result type/

/** Is this error the world's and not ours? Everything else that is thrown is a bug. */
export function isFault(error: unknown): boolean {
  if (error instanceof Fault) return true
  if (!(error instanceof Error)) return false
  const code = (error as { code?: unknown }).code
  if (typeof code === 'string' && (TRANSIENT_SOCKET.has(code) || (code.length === 5 && TRANSIENT_SQLSTATE.test(code))))
    return true
  // PostgreSQL ends the connection with these, for reasons of its own: it says nothing about the statement.
  const { severity } = error as { severity?: unknown }
  if (severity === 'FATAL' || severity === 'PANIC') return true
  if (TRANSIENT_SENTENCE.test(error.message) || OUT_OF_DATE.test(error.message)) return true
  return error.cause !== undefined && isFault(error.cause)
}
