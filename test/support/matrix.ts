import type { RouteDeclaration } from '../../src/api/route.ts'
import { type Fixture, fixtures } from './matrix-fixtures.ts'

/** Callers whose credentials are good. `nobody` sends none; `board` sends the board's user name and password. */
export const callers = ['nobody', 'user', 'service', 'operator', 'admin', 'board'] as const
export type Caller = (typeof callers)[number]

/** Whose data a request is about: the caller's own, or that of a user who is somebody else. */
export const owners = ['own', 'other'] as const
export type Owner = (typeof owners)[number]

/** What the contract says of roles: who may do what asks for one of them. */
const GRANTS: { readonly [role: string]: readonly Caller[] } = {
  user: ['user', 'service', 'admin'],
  service: ['service', 'admin'],
  operator: ['operator', 'admin', 'board'],
  admin: ['admin'],
}

export interface Cell {
  readonly caller: Caller
  readonly owner: Owner
  readonly status: number
}

export interface Row {
  readonly route: string
  readonly declared: RouteDeclaration
  readonly fixture: Fixture
  readonly cells: readonly Cell[]
}

/** What is wrong with a route that cannot be put into the matrix. */
export class NoRule extends Error {}

/** The row of a route, derived from the rule that it declares. Throws for one that declares none, or whose data nobody knows. */
export function rowOf(declared: RouteDeclaration, known: { readonly [route: string]: Fixture } = fixtures): Row {
  const route = `${declared.method.toUpperCase()} ${declared.path}`
  if (!isRule(declared.access)) throw new NoRule(`${route} declares no rule of access`)
  const fixture = known[route] ?? {}
  for (const name of paramsOf(declared))
    if (fixture.params === undefined)
      throw new NoRule(`${route}: say in matrix-fixtures.ts what stands for «${name}», of whose data`)
  if (needsOwner(declared) && fixture.others === undefined)
    throw new NoRule(`${route}: say in matrix-fixtures.ts who may reach the data of others`)
  if (declared.body !== undefined && fixture.body === undefined)
    throw new NoRule(`${route}: say in matrix-fixtures.ts which body is fine`)
  const whose = fixture.others === undefined ? (['own'] as const) : owners
  const cells = callers.flatMap((caller) =>
    whose.map((owner): Cell => ({ caller, owner, status: statusFor(declared, fixture, caller, owner) })),
  )
  return { route, declared, fixture, cells }
}

function statusFor(declared: RouteDeclaration, fixture: Fixture, caller: Caller, owner: Owner): number {
  const { others } = fixture
  if (caller === 'board' && declared.basic !== true) return 401
  if (declared.access !== 'anyone') {
    if (caller === 'nobody') return 401
    const { access } = declared
    if (access !== 'caller' && !access.some((role) => GRANTS[role]?.includes(caller))) return 403
  }
  if (owner === 'other' && others !== undefined && others !== 'the same' && !others.except.includes(caller))
    return others.refused
  return fixture.otherwise ?? fine(declared)
}

/** What is submitted is accepted, and what is asked is answered. */
export const fine = ({ answers }: RouteDeclaration): number => (202 in answers ? 202 : 200)

const isRule = (access: unknown): boolean =>
  access === 'anyone' ||
  access === 'caller' ||
  (Array.isArray(access) && access.length > 0 && access.every((role) => Object.hasOwn(GRANTS, role)))

const paramsOf = ({ path }: RouteDeclaration): string[] => [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)

/** Names by which one user could name another. */
const USERS = /^(user|owner|payer|payee|customer|account)(_id)?$/

/** Whatever names something in its path, or a user anywhere, names somebody's data. */
const needsOwner = (declared: RouteDeclaration): boolean =>
  paramsOf(declared).length > 0 ||
  [declared.query, declared.body].some((schema) => Object.keys(schema?.shape ?? {}).some((name) => USERS.test(name)))
