import type { Context } from 'hono'
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

/** Where a request came from, for the audit log and for suspicion. A device is what its software says of itself. */
export const clientOf = (c: Context<Env>): { ip: string | null; device: string | null } => ({
  ip: c.get('address'),
  device:
    headerOf(c, 'user-agent')
      ?.slice(0, 255)
      .replaceAll(/\p{Cc}/gu, ' ') ?? null,
})

/** How often each user may ask: so many in so many minutes. Back ends, which ask for many users, are not counted here. */
export const perUser = (name: string, points: number, minutes: number): RouteLimit => ({
  name,
  points,
  seconds: minutes * 60,
  by: 'user',
})
