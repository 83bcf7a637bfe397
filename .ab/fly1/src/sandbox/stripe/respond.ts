import type { Context } from 'hono'
import { parseForm } from './form.ts'
import type { Row } from './rows.ts'
import { shown, type World } from './world.ts'

/** What a route answers: the row as it is shown, with what was asked to be expanded. */
export function answer(world: World, c: Context, row: object, expand: readonly string[] = []): Response {
  const body = shown(row)
  for (const path of expand) expandIn(world, body, path.split('.'))
  return c.json(body)
}

/** Query or form of a request. */
export const fieldsOf = async (c: Context) =>
  parseForm(c.req.method === 'GET' ? (c.req.url.split('?')[1] ?? '') : await c.req.text())

/** Puts objects where ids stand. `data` of a list is walked through; a path that leads nowhere is passed over. */
function expandIn(world: World, at: unknown, [field, ...rest]: readonly string[]): void {
  if (at === null || typeof at !== 'object' || field === undefined) return
  const fields = at as Record<string, unknown>
  const value = fields[field]
  if (Array.isArray(value)) {
    for (const one of value) expandIn(world, one, rest)
    return
  }
  if (typeof value === 'string') {
    const row = find(world, value)
    if (row === undefined) return
    fields[field] = shown(row)
  }
  expandIn(world, fields[field], rest)
}

function find(world: World, id: string): Row | undefined {
  switch (id.split('_')[0]) {
    case 'pi':
      return world.intents.get(id)
    case 'ch':
    case 'py':
      return world.charges.get(id)
    case 'txn':
      return world.bookings.get(id)
    case 'pm':
      return world.methods.get(id)
    case 'cus':
      return world.customers.get(id)
    case 'acct':
      return world.accounts.get(id)
    case 'ba':
    case 'card':
      return world.externals.get(id)
    case 'po':
      return world.payouts.get(id)
    default:
      return undefined
  }
}
