import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { reencryptCommand } from '../src/commands/reencrypt.ts'
import { newId } from '../src/kit/ids.ts'
import { Keyring } from '../src/kit/keyring.ts'
import { Secret } from '../src/kit/secret.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'
import { Deployment } from './support/deployment.ts'

const OLD = 'the-key-of-last-year-0123456789abcdef'
const NEW = 'the-key-of-this-year-0123456789abcdef'
const BACK_END = { as: 'shop', roles: ['service'] } as const

const OLD_ID = new Keyring(new Secret(OLD)).current.id
const rotated = { encryption: { current: new Secret(NEW), previous: [new Secret(OLD)] } }

/** Every column of every table in which something stands that the old key has sealed: found by looking at all of them. */
async function sealedWith(database: TestDatabase, keyId: string): Promise<Record<string, number>> {
  const { rows: columns } = await database.pool.query(
    `select table_name, column_name, data_type from information_schema.columns
     where table_schema = 'public' and data_type in ('text', 'json', 'jsonb', 'bytea', 'character varying')`,
  )
  const found: Record<string, number> = {}
  for (const { table_name: table, column_name: column, data_type: type } of columns) {
    const text = type === 'bytea' ? `encode("${column}", 'escape')` : `"${column}"::text`
    const { rows } = await database.pool.query(`select count(*)::int from "${table}" where ${text} like $1`, [
      `%enc:${keyId}:%`,
    ])
    if (rows[0].count > 0) found[`${table}.${column}`] = rows[0].count
  }
  return found
}

async function reencrypt(database: TestDatabase, config = rotated): Promise<{ code: number; text: string }> {
  const lines: string[] = []
  const code = await reencryptCommand(config, database.url, (line) => void lines.push(line))
  return { code, text: lines.join('\n') }
}

const start = (database: TestDatabase, keys: { current: string; previous?: string }) =>
  Deployment.start({
    database,
    env: {
      ENCRYPTION_KEY: keys.current,
      ...(keys.previous === undefined ? {} : { ENCRYPTION_KEY_PREVIOUS: keys.previous }),
      FRAUD_RULES: 'observe',
    },
  })

async function addMethod(bursar: Deployment, user: string): Promise<string> {
  const body = { user_id: user, type: 'card', gateway: 'mock', token: `mock_${newId()}` }
  const { body: method } = await bursar.do('POST', '/api/v1/payments/methods', body, BACK_END)
  return method.id
}

const deposit = (bursar: Deployment, user: string, method: string) =>
  bursar.do(
    'POST',
    '/api/v1/payments/deposits/initiate',
    { user_id: user, amount: 5, payment_method_id: method },
    BACK_END,
  )

describe('After a rotation of the encryption key', () => {
  let database: TestDatabase
  let method: string
  beforeAll(async () => {
    database = await freshDatabase()
    const before = await start(database, { current: OLD })
    await before.issue(10, 'voice_of_last_year')
    method = await addMethod(before, 'user_1')
    expect((await deposit(before, 'user_1', method)).body).toMatchObject({ status: 'COMPLETED' })
    await vi.waitUntil(async () => (await database.pool.query('select count(*)::int from webhook')).rows[0].count > 0, {
      timeout: 20_000,
      interval: 20,
    })
    await before.quiet()
    await before.stop()
  })
  afterAll(() => database.drop())

  test('everything is sealed anew, beside workers that go on sealing, and opens without the old key', async () => {
    const during = await start(database, { current: NEW, previous: OLD })
    const found = await sealedWith(database, OLD_ID)
    expect(Object.keys(found).toSorted()).toEqual([
      'operation.input',
      'operation.result',
      'payment_method.token',
      'token.voice_id',
      'webhook.raw',
    ])
    const [{ code, text }] = await Promise.all([
      reencrypt(database),
      ...Array.from({ length: 10 }, async (_, n) => {
        const fresh = await addMethod(during, `user_during_${n}`)
        expect((await deposit(during, `user_during_${n}`, fresh)).body).toMatchObject({ status: 'COMPLETED' })
        expect((await deposit(during, 'user_1', method)).body).toMatchObject({ status: 'COMPLETED' })
      }),
    ])
    expect(code, text).toBe(0)
    for (const [column, count] of Object.entries(found))
      expect(text).toMatch(new RegExp(`^${column.replace('.', '\\.')} +${count} sealed anew$`, 'm'))
    expect(text).toContain('ENCRYPTION_KEY_PREVIOUS may be removed 60 minutes after')
    expect(await sealedWith(database, OLD_ID)).toEqual({})
    await during.stop()

    const after = await start(database, { current: NEW })
    expect((await deposit(after, 'user_1', method)).body).toMatchObject({ status: 'COMPLETED' })
    await after.expectCleanBooks()
    await after.stop()
  })

  test('a second run finds nothing to do', async () => {
    const { code, text } = await reencrypt(database)
    expect(code).toBe(0)
    expect(text).not.toMatch(/ [1-9]\d* sealed anew/)
  })

  test('what no configured key opens is counted, and says to keep the keys', async () => {
    const third = { encryption: { current: new Secret('the-key-of-next-year-0123456789abcdef'), previous: [] } }
    const { code, text } = await reencrypt(database, third)
    expect(code).toBe(1)
    expect(text).toMatch(/^payment_method\.token +0 sealed anew, \d+ CANNOT BE OPENED$/m)
    expect(text).toContain('keep every key that you have')
    expect(Object.keys(await sealedWith(database, new Keyring(third.encryption.current).current.id))).toEqual([])
  })

  test('a caller’s text that only looks sealed holds nothing up', async () => {
    const old = await start(database, { current: NEW })
    await old.do(
      'POST',
      '/api/v1/payments/methods',
      {
        user_id: 'joker',
        type: 'card',
        gateway: 'mock',
        token: `mock_${newId()}`,
        metadata: { brand: 'enc:deadbeef:AAAA' },
      },
      BACK_END,
    )
    await old.stop()
    expect((await reencrypt(database)).code).toBe(0)
  })

  test('a row that a worker holds is waited for, not overwritten', async () => {
    const before = await database.pool.query('select id, token from payment_method limit 1')
    const { id } = before.rows[0]
    const older = new Keyring(new Secret(OLD))
    await database.pool.query('update payment_method set token = $2 where id = $1', [
      id,
      older.seal('mock_held', `payment_method:${id}:token`),
    ])
    const holder = await database.pool.connect()
    await holder.query('begin')
    await holder.query('select from payment_method where id = $1 for update', [id])
    const running = reencrypt(database)
    const untouched = await database.pool.query('select token from payment_method where id = $1', [id])
    expect(untouched.rows[0].token).toMatch(`enc:${OLD_ID}:`)
    await holder.query(`update payment_method set last_four = '4242' where id = $1`, [id])
    await holder.query('commit')
    holder.release()
    expect((await running).code).toBe(0)
    const { rows } = await database.pool.query('select token, last_four from payment_method where id = $1', [id])
    expect(new Keyring(new Secret(NEW)).open(rows[0].token, `payment_method:${id}:token`)).toBe('mock_held')
    expect(rows[0].last_four).toBe('4242')
  })
})
