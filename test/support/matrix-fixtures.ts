import { newId } from '../../src/kit/ids.ts'
import type { Deployment } from './deployment.ts'
import type { Caller } from './matrix.ts'

/** Where fixtures get their data from. */
export interface World {
  readonly bursar: Deployment
  /** The headers of whoever owns the data that is asked for. */
  readonly owner: Readonly<Record<string, string>>
  /** The subject of whoever owns it; nobody's when it was made without credentials. */
  readonly subject: string | undefined
}

type Made<Value> = Value | ((world: World) => Value | Promise<Value>)

/** What a route needs beside its declaration, so that a request is fine but for its caller. */
export interface Fixture {
  /** For each parameter of the path; made anew for each request, because some things can be done only once. */
  readonly params?: Made<Readonly<Record<string, string>>>
  readonly query?: Made<Readonly<Record<string, string>>>
  readonly body?: Made<unknown>
  /** Who may reach the data of others: whoever may reach their own, or nobody but a few. */
  readonly others?: 'the same' | { readonly refused: 403 | 404; readonly except: readonly Caller[] }
}

const token = async ({ bursar }: World) => ({ token_id: await bursar.issue(5, `voice_${newId()}`) })

/** An operation of the owner's that is done. */
async function operation({ bursar, owner }: World): Promise<{ id: string }> {
  const path = `/token/${await bursar.issue(5, `voice_${newId()}`)}/deduct`
  const { headers } = await bursar.do('POST', path, { amount: 1 }, { headers: owner })
  return { id: headers.get('operation-id') ?? '' }
}

/** Whoever knows a token's id may use it, whoever they are. */
const byToken: Fixture = { params: token, others: 'the same' }

/** By route: those that need something. One without parameters and body needs no line here. */
export const fixtures: { readonly [route: string]: Fixture } = {
  'POST /token': { body: { budget: 1, voice_id: 'voice_access' } },
  'POST /token/{token_id}/deduct': { ...byToken, body: { amount: 1 } },
  'DELETE /token/{token_id}': byToken,
  'GET /balance/{token_id}': byToken,
  'GET /token/{token_id}/report': byToken,
  'GET /token/{token_id}/transactions': byToken,
  'GET /api/v1/operations/{id}': { params: operation, others: { refused: 404, except: ['operator', 'admin'] } },
  'POST /api/v1/operations/{id}/retry': { params: operation, others: 'the same' },
}
