import { assert } from '../../kit/assert.ts'
import { namedId } from '../../kit/ids.ts'
import type { Asset } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import { type Purpose, purposes, rulesOf } from './movements.ts'

/** The owner of every account that is ours. */
export const PLATFORM = 'platform'

/** An account without a floor. Its id follows from its name, so that no process has to look it up. */
export interface PlatformAccount {
  readonly platform: true
  readonly id: string
  readonly purpose: Purpose
  readonly asset: Asset
}

export function platformAccount(purpose: Purpose, asset: Asset): PlatformAccount {
  const rules = rulesOf(purpose)
  assert(rules.platform && rules.assets.includes(asset), `No platform account ${purpose} in ${asset}`)
  return { platform: true, id: namedId(`account:${PLATFORM}:${purpose}:${asset}`), purpose, asset }
}

/** Opens those that this version knows and the database does not. */
export async function openPlatformAccounts(sql: Sql): Promise<void> {
  const accounts = Object.entries(purposes)
    .filter(([, { platform }]) => platform)
    .flatMap(([purpose, { assets }]) => assets.map((asset) => platformAccount(purpose as Purpose, asset)))
  await sql.query(
    `insert into account (id, owner, purpose, asset, floor, opened_at)
     select id, '${PLATFORM}', purpose, asset, null, now()
     from unnest($1::uuid[], $2::text[], $3::text[]) as new (id, purpose, asset)
     on conflict do nothing`,
    [accounts.map(({ id }) => id), accounts.map(({ purpose }) => purpose), accounts.map(({ asset }) => asset)],
  )
}
