import { assert } from '../../kit/assert.ts'
import { namedId } from '../../kit/ids.ts'
import type { Asset } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import { type Purpose, type PurposeRules, purposes, rulesOf } from './movements.ts'

/** The owner of every account that is ours, with the place behind a colon where it is at one. */
export const PLATFORM = 'platform'

/** An account without a floor. Its id follows from its name, so that no process has to look it up. */
export interface PlatformAccount {
  readonly platform: true
  readonly id: string
  readonly purpose: Purpose
  readonly asset: Asset
}

/** `at` names the place for purposes that have one account at each of several: what we have at Stripe. */
export function platformAccount(purpose: Purpose, asset: Asset, at?: string): PlatformAccount {
  const rules = rulesOf(purpose)
  assert(rules.platform && rules.assets.includes(asset), `No platform account ${purpose} in ${asset}`)
  assert(at === undefined ? rules.at === undefined : rules.at?.includes(at), `No platform account ${purpose} at ${at}`)
  return { platform: true, id: namedId(`account:${ownerAt(at)}:${purpose}:${asset}`), purpose, asset }
}

const ownerAt = (at: string | undefined): string => (at === undefined ? PLATFORM : `${PLATFORM}:${at}`)

/** Opens those that this version knows and the database does not. */
export async function openPlatformAccounts(sql: Sql): Promise<void> {
  const accounts = Object.entries(purposes)
    .filter(([, { platform }]) => platform)
    .flatMap(([purpose, { assets, at }]: [string, PurposeRules]) => {
      const places: readonly (string | undefined)[] = at ?? [undefined]
      return places.flatMap((place) =>
        assets.map((asset) => ({ owner: ownerAt(place), ...platformAccount(purpose as Purpose, asset, place) })),
      )
    })
  await sql.query(
    `insert into account (id, owner, purpose, asset, floor, opened_at)
     select id, owner, purpose, asset, null, now()
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as new (id, owner, purpose, asset)
     on conflict do nothing`,
    [
      accounts.map(({ id }) => id),
      accounts.map(({ owner }) => owner),
      accounts.map(({ purpose }) => purpose),
      accounts.map(({ asset }) => asset),
    ],
  )
}
