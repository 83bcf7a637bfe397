import { randomBytes } from 'node:crypto'
import type { Keyring } from '../kit/keyring.ts'
import type { Sql } from '../kit/sql.ts'

const NAME = 'digest'
const PLACE = 'sealed_key:digest'
const BYTES = 32

/**
 * The key of all digests of this database: made once by whichever process is first, sealed with the encryption key, and
 * sealed anew after a rotation. A fault where the encryption key is not the one that sealed it: a process that digests
 * differently from its siblings would take repeats for new requests, so it must not start.
 */
export async function digestKey(sql: Sql, keyring: Keyring): Promise<Buffer> {
  await sql.query(`insert into sealed_key (name, value) values ($1, $2) on conflict do nothing`, [
    NAME,
    keyring.seal(randomBytes(BYTES).toString('base64'), PLACE),
  ])
  const [row] = await sql.query<{ value: string }>(`select value from sealed_key where name = $1`, [NAME])
  const sealed = row?.value ?? ''
  const key = keyring.open(sealed, PLACE)
  if (!keyring.isCurrent(sealed)) {
    await sql.query(`update sealed_key set value = $2 where name = $1 and value = $3`, [
      NAME,
      keyring.seal(key, PLACE),
      sealed,
    ])
  }
  return Buffer.from(key, 'base64')
}
