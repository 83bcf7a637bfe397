import { accessRefusals } from './access-refusals.ts'

export const roles = ['user', 'service', 'operator', 'admin'] as const

export type Role = (typeof roles)[number]

export const isRole = (name: unknown): name is Role => roles.some((role) => role === name)

/** Who is asking. Without a subject they have not said; routes decide whether that is enough. */
export interface Caller {
  readonly subject?: string
  readonly roles: ReadonlySet<Role>
}

export type KnownCaller = Caller & { readonly subject: string }

export const nobody: Caller = { roles: new Set() }

/** Which roles may do what a role may do. An admin may do everything; a back end may do what its users may. */
const may: { readonly [wanted in Role]: readonly Role[] } = {
  user: ['user', 'service', 'admin'],
  service: ['service', 'admin'],
  operator: ['operator', 'admin'],
  admin: ['admin'],
}

export const holds = (caller: Caller, wanted: Role): boolean => may[wanted].some((role) => caller.roles.has(role))

/** Everybody acts for themselves; back ends act for any user. */
export const mayActFor = (caller: Caller, userId: string): boolean =>
  caller.subject === userId || (caller.subject !== undefined && holds(caller, 'service'))

/** 401 for callers who have not said who they are. */
export function requireCaller(caller: Caller): KnownCaller {
  const { subject } = caller
  if (subject === undefined) throw accessRefusals.unauthenticated({ problem: 'This needs to know who is asking' })
  return { ...caller, subject }
}

/** 401 without a subject, 403 without any of these roles. */
export function requireRole(caller: Caller, ...wanted: readonly Role[]): KnownCaller {
  const known = requireCaller(caller)
  if (wanted.some((role) => holds(known, role))) return known
  throw accessRefusals.forbidden({
    problem: `This needs the role ${wanted.join(' or ')}; the token has ${[...known.roles].join(', ')}`,
  })
}

/** 401 without a subject, 403 where one user names another. */
export function requireToActFor(caller: Caller, userId: string): KnownCaller {
  const known = requireCaller(caller)
  if (mayActFor(known, userId)) return known
  throw accessRefusals.forbidden({
    problem: `${known.subject} may act for nobody else; use a token of that user, or one with the role service`,
  })
}
