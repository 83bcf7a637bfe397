import type { Context } from 'hono'
import { PAYMENT_METHOD, paymentRefusals, TRANSACTION } from '../../domain/payments/reads.ts'
import { fromPublicId } from '../../kit/ids.ts'
import type { Keyring } from '../../kit/keyring.ts'
import { type Caller, holds, requireCaller, requireToActFor } from '../access.ts'
import { headerOf } from '../reply.ts'
import type { Env, RouteLimit } from '../route.ts'

/** Whose wallet a request is about: the user named, or the caller. One user that names another gets 403. */
export function userMeant(caller: Caller, named: unknown): string {
  if (typeof named !== 'string') return requireCaller(caller).subject
  requireToActFor(caller, named)
  return named
}

/** Whose object an id in a request may name: the caller's own, the named user's, or for back ends anybody's. */
export function ownerMeant(caller: Caller, named: unknown): string | undefined {
  if (typeof named === 'string') return userMeant(caller, named)
  return holds(requireCaller(caller), 'service') ? undefined : userMeant(caller, undefined)
}

/**
 * Where a request came from, for the audit log and for suspicion. A device is a digest of what its software says of itself:
 * it is only ever compared, and callers put the strangest things there.
 */
export function clientOf(c: Context<Env>, keyring: Keyring): { ip: string | null; device: string | null } {
  const software = headerOf(c, 'user-agent')
  // Without its versions: an update makes no new device.
  const kind = software?.replaceAll(/[\d._]+/g, '')
  const device = kind === undefined ? null : keyring.digest(`device ${kind}`).toString('base64url', 0, 16)
  return { ip: c.get('address'), device }
}

/** A transaction by the id that callers know; what never was one is not found, without asking the database. */
export function transactionMeant(written: unknown): string {
  const id = fromPublicId(TRANSACTION, String(written))
  if (id === undefined) throw paymentRefusals.notFound()
  return id
}

/** The same for a saved method. */
export function methodMeant(written: unknown): string {
  const id = fromPublicId(PAYMENT_METHOD, String(written))
  if (id === undefined) throw paymentRefusals.methodNotFound()
  return id
}

/** How often each user may ask: so many in so many minutes. Back ends, which ask for many users, are not counted here. */
export const perUser = (name: string, points: number, minutes: number): RouteLimit => ({
  name,
  points,
  seconds: minutes * 60,
  by: 'user',
})
