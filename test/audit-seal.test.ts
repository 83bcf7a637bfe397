import { afterAll, beforeEach, expect, test } from 'vitest'
import { auditVerifyCommand } from '../src/commands/audit-verify.ts'
import { recordAudit, recordSecurity } from '../src/domain/audit/record.ts'
import { lastAuditBlock, sealEvents } from '../src/domain/audit/seal.ts'
import { verifyAudit } from '../src/domain/audit/verify.ts'
import type { Block, SealOptions } from '../src/domain/ledger/chain.ts'
import { firstIdAt } from '../src/kit/ids.ts'
import type { Sql } from '../src/kit/sql.ts'
import { inTransaction, sqlOf } from '../src/platform/database.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'
import { count } from './support/ledger.ts'

let database: TestDatabase

beforeEach(async () => {
  await database?.drop()
  database = await freshDatabase()
})
afterAll(() => database.drop())

const NOON = new Date('2026-11-20T12:00:00Z')

/** Ids carry whole milliseconds: these few make sure that what has just been committed counts as past. */
const AT_ONCE = -5

const seal = (options: Partial<SealOptions> = {}): Promise<Block | undefined> =>
  inTransaction(database.pool, (sql) => sealEvents(sql, { now: new Date(), lagMs: AT_ONCE, ...options }))

const record = (sql: Sql, user: string) =>
  recordAudit(
    { sql, now: NOON },
    { type: 'deposit_initiated', userId: user, money: { amount: 100_000n, currency: 'INR' }, gateway: 'mock' },
  )

/** Ten events, in three blocks of four, four and two. */
async function threeBlocks(): Promise<Block[]> {
  const { pool } = database
  for (let one = 0; one < 9; one++) await inTransaction(pool, (sql) => record(sql, `user_${one}`))
  await inTransaction(pool, (sql) =>
    recordSecurity(
      { sql, now: NOON },
      { type: 'suspicious_activity', indicators: ['large_amount'], action: 'observed' },
    ),
  )
  const blocks = []
  for (let block = await seal({ maxRows: 4 }); block !== undefined; block = await seal({ maxRows: 4 }))
    blocks.push(block)
  return blocks
}

async function tamper(statement: string): Promise<void> {
  const sql = sqlOf(database.pool)
  for (const table of ['audit_event', 'audit_block']) await sql.query(`alter table ${table} disable trigger user`)
  await sql.query(statement)
  for (const table of ['audit_event', 'audit_block']) await sql.query(`alter table ${table} enable trigger user`)
}

async function verify(): Promise<{ exit: number; says: string }> {
  const lines: string[] = []
  const exit = await auditVerifyCommand(database.url, (line) => lines.push(line))
  return { exit, says: lines.join('\n') }
}

/** The body of the sixth event, whatever stands in it. */
const SIXTH = '(select id from audit_event order by id offset 5 limit 1)'

test('blocks follow each other without a gap and hold every event once; the command says so', async () => {
  const blocks = await threeBlocks()
  expect(blocks.map(({ number, size }) => [number, size])).toEqual([
    [1n, 4],
    [2n, 4],
    [3n, 2],
  ])
  expect(blocks.slice(1).map(({ afterId }) => afterId)).toEqual(blocks.slice(0, -1).map(({ throughId }) => throughId))
  const { exit, says } = await verify()
  expect(exit).toBe(0)
  expect(says).toContain('10 events, 10 of them sealed in 3 blocks')
  expect(says).toContain(`Sealed up to block 3, ${blocks[2]?.hash.toString('hex')}`)
})

test('events and blocks cannot be updated, deleted or truncated', async () => {
  await threeBlocks()
  const { pool } = database
  await expect(pool.query(`update audit_event set user_id = 'x'`)).rejects.toThrow('never updated')
  await expect(pool.query('update audit_block set events = 0')).rejects.toThrow('never updated')
  for (const table of ['audit_event', 'audit_block']) {
    await expect(pool.query(`delete from ${table}`)).rejects.toThrow('never deleted')
    await expect(pool.query(`truncate ${table}`)).rejects.toThrow('never truncated')
  }
})

test('an event that was changed is named, and so is its block', async () => {
  await threeBlocks()
  await tamper(`update audit_event set body = replace(body::text, '1000', '9000')::json where id = ${SIXTH}`)
  const { exit, says } = await verify()
  expect(exit).toBe(1)
  expect(says).toMatch(/event 0[0-9a-f-]{35}: its fields are not what was hashed/)
  expect(says).toContain('block 2: its events are not what was sealed')
})

test('an event that was changed together with its hash breaks its block', async () => {
  await threeBlocks()
  await tamper(
    `update audit_event set body = replace(body::text, '1000', '9000')::json,
       audit_hash = sha256(convert_to(replace(body::text, '1000', '9000'), 'UTF8')) where id = ${SIXTH}`,
  )
  const { exit, says } = await verify()
  expect(exit).toBe(1)
  expect(says).toContain('block 2: its events are not what was sealed')
})

test('whatever column of an event is changed is noticed', async () => {
  await threeBlocks()
  const changes: Record<string, string> = {
    id: `'${firstIdAt(new Date())}'`,
    type: `'deposit_failed'`,
    category: `'security'`,
    user_id: `'somebody_else'`,
    body: `(body::text || ' ')::json`,
    audit_hash: `sha256('x')`,
    at: `at + interval '1 microsecond'`,
  }
  const columns = await sqlOf(database.pool).query<{ name: string }>(
    `select column_name as name from information_schema.columns where table_name = 'audit_event' and table_schema = 'public'`,
  )
  expect(columns.map(({ name }) => name).toSorted()).toEqual(Object.keys(changes).toSorted())
  for (const [column, change] of Object.entries(changes)) {
    const takenBack = inTransaction(database.pool, async (sql) => {
      await sql.query('alter table audit_event disable trigger user')
      await sql.query(`update audit_event set ${column} = ${change} where id = ${SIXTH}`)
      const { findings } = await verifyAudit(sql)
      expect(
        findings.map(({ block }) => block),
        column,
      ).toContain(2n)
      throw new Error('taken back')
    })
    await expect(takenBack).rejects.toThrow('taken back')
  }
})

test('an event that is not sealed yet is guarded by its own hash', async () => {
  await inTransaction(database.pool, (sql) => record(sql, 'user_1'))
  await tamper(`update audit_event set user_id = 'somebody_else'`)
  expect(await verify()).toMatchObject({
    exit: 1,
    says: expect.stringContaining('its type, user or time is not what its fields say'),
  })
  await tamper(`update audit_event set user_id = 'user_1', body = '{}'`)
  expect(await verify()).toMatchObject({ exit: 1, says: expect.stringContaining('its fields are not what was hashed') })
})

test('events that were removed, or slipped in, are counted', async () => {
  await threeBlocks()
  await tamper(`delete from audit_event where id = ${SIXTH}`)
  await tamper(
    `insert into audit_event select (left(id::text, 35) || case right(id::text, 1) when '0' then '1' else '0' end)::uuid,
       type, category, user_id, body, audit_hash, at from audit_event order by id limit 1 offset 1`,
  )
  const { exit, says } = await verify()
  expect(exit).toBe(1)
  expect(says).toContain('1 events turned up after 4 had been sealed')
  expect(says).toContain('1 of 4 events are gone')
})

test('a block that was taken out, or sealed anew, breaks the chain', async () => {
  await threeBlocks()
  await tamper('create table kept as select * from audit_block where number > 2')
  await tamper(`delete from audit_event where id = ${SIXTH}`)
  await tamper('delete from audit_block where number >= 2')
  await seal({ maxRows: 3 })
  await tamper('insert into audit_block select * from kept')
  expect(await verify()).toMatchObject({
    exit: 1,
    says: expect.stringContaining('block 3: does not follow the block before'),
  })
  await tamper('delete from audit_block where number = 2')
  expect(await verify()).toMatchObject({
    exit: 1,
    says: expect.stringContaining('block 3: does not follow the block before'),
  })
})

test('a transaction in flight holds sealing back, so that nothing is ever written among sealed events', async () => {
  const { pool } = database
  await inTransaction(pool, async (sql) => {
    await record(sql, 'slow')
    await inTransaction(pool, (other) => record(other, 'quick'))
    expect(await seal()).toBeUndefined()
  })
  expect(await seal()).toMatchObject({ size: 2 })
  expect(await verify()).toMatchObject({ exit: 0 })
})

test('what was minted within the lag waits, and a clock that is ahead seals no further than the database’s own', async () => {
  await inTransaction(database.pool, (sql) => record(sql, 'user_1'))
  expect(await seal({ lagMs: 60_000 })).toBeUndefined()
  expect(await seal({ now: new Date(Date.now() + 86_400_000), lagMs: 60_000 })).toBeUndefined()
  expect(await seal()).toMatchObject({ size: 1 })
})

test('sealers at once, among writers, never fork the chain and leave nothing out', async () => {
  const { pool } = database
  const writing = Promise.all(
    Array.from({ length: 8 }, async (_, writer) => {
      for (let one = 0; one < 20; one++) await inTransaction(pool, (sql) => record(sql, `user_${writer}`))
    }),
  )
  const sealing = Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let round = 0; round < 15; round++) await seal({ maxRows: 7 })
    }),
  )
  await Promise.all([writing, sealing])
  while ((await seal({ maxRows: 7 })) !== undefined);
  expect(await count(pool, 'audit_event')).toBe(160)
  expect((await verify()).says).toContain('160 events, 160 of them sealed')
  expect(await verify()).toMatchObject({ exit: 0 })
})

test('a sealer that dies before its commit has sealed nothing, and the next one seals the same', async () => {
  await inTransaction(database.pool, (sql) => record(sql, 'user_1'))
  const dying = inTransaction(database.pool, async (sql) => {
    expect(await sealEvents(sql, { now: new Date(), lagMs: AT_ONCE })).toMatchObject({ size: 1 })
    throw new Error('killed')
  })
  await expect(dying).rejects.toThrow('killed')
  expect(await lastAuditBlock(sqlOf(database.pool))).toBeUndefined()
  expect(await seal()).toMatchObject({ number: 1n, size: 1 })
})
