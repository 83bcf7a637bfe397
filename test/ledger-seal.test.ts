import { afterAll, beforeEach, expect, test } from 'vitest'
import { openBooks } from '../src/domain/ledger/books.ts'
import type { Block, SealOptions } from '../src/domain/ledger/chain.ts'
import { lastBlock, sealBlock, verifyBlocks } from '../src/domain/ledger/seal.ts'
import { firstIdAt } from '../src/kit/ids.ts'
import { amount } from '../src/kit/money.ts'
import { inTransaction, sqlOf } from '../src/platform/database.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'
import { count, deduct, deductFrom, issueToken, NOON } from './support/ledger.ts'

let database: TestDatabase
let token: string

beforeEach(async () => {
  await database?.drop()
  database = await freshDatabase()
  token = await issueToken(database.pool, 1_000)
})

afterAll(() => database.drop())

/** Ids carry whole milliseconds: these few make sure that what has just been committed counts as past. */
const AT_ONCE = -5

const seal = (options: Partial<SealOptions> = {}): Promise<Block | undefined> =>
  inTransaction(database.pool, (sql) => sealBlock(sql, { now: new Date(), lagMs: AT_ONCE, ...options }))

async function tamper(statement: string, parameters: readonly unknown[] = []): Promise<void> {
  const sql = sqlOf(database.pool)
  for (const table of ['transfer', 'ledger_block']) await sql.query(`alter table ${table} disable trigger user`)
  await sql.query(statement, parameters)
  for (const table of ['transfer', 'ledger_block']) await sql.query(`alter table ${table} enable trigger user`)
}

const verify = () => verifyBlocks(sqlOf(database.pool))

/** Ten transfers, in three blocks of four, four and two. */
async function threeBlocks(): Promise<Block[]> {
  for (let round = 0; round < 9; round += 1) await deductFrom(database.pool, token, 1)
  const blocks = []
  for (let block = await seal({ maxRows: 4 }); block !== undefined; block = await seal({ maxRows: 4 }))
    blocks.push(block)
  return blocks
}

test('blocks follow each other without a gap, and hold every transfer once', async () => {
  const blocks = await threeBlocks()
  expect(blocks.map(({ number, size }) => [number, size])).toEqual([
    [1n, 4],
    [2n, 4],
    [3n, 2],
  ])
  expect(blocks.slice(1).map(({ afterId }) => afterId)).toEqual(blocks.slice(0, -1).map(({ throughId }) => throughId))
  expect(await lastBlock(sqlOf(database.pool))).toEqual(blocks.at(-1))
  expect(await count(database.pool, 'ledger_block where octet_length(hash) = 32')).toBe(3)
  expect(await verify()).toEqual({ blocks: [], total: 0 })
})

test('the first block follows 32 zero bytes, and without transfers there is no block', async () => {
  await seal()
  expect(await seal()).toBeUndefined()
  expect(await count(database.pool, `ledger_block where previous_hash = decode(repeat('00', 32), 'hex')`)).toBe(1)
})

test('what was minted within the lag waits for a later block', async () => {
  expect(await seal({ lagMs: 60_000 })).toBeUndefined()
  expect(await seal({ now: new Date('2020-01-01T00:00:00Z') })).toBeUndefined()
  expect(await seal()).toMatchObject({ size: 1 })
})

test('a sealer whose clock is ahead seals no further than the database’s own clock', async () => {
  const tomorrow = new Date(Date.now() + 86_400_000)
  expect(await seal({ now: tomorrow, lagMs: 60_000 })).toBeUndefined()
})

test('a transaction in flight holds sealing back, so that nothing is ever written among sealed transfers', async () => {
  const { pool } = database
  const slow = await issueToken(pool, 100)
  await seal()
  await inTransaction(pool, async (sql) => {
    const books = await openBooks(sql, [slow], NOON)
    deduct(books, slow, amount(10))
    await books.write(sql)
    // Posted and committed later than the one in flight: sealing it would shut the other one out.
    await deductFrom(pool, token, 10)
    expect(await seal({ lagMs: 0 })).toBeUndefined()
  })
  expect(await seal()).toMatchObject({ number: 2n, size: 2 })
  expect(await verify()).toEqual({ blocks: [], total: 0 })
})

test('two sealers at once do not collide: each transfer is sealed once', async () => {
  for (let round = 0; round < 8; round += 1) await deductFrom(database.pool, token, 1)
  const blocks = await Promise.all([1, 2, 3].map(() => seal({ maxRows: 3, lagMs: AT_ONCE })))
  const rest = await seal()
  const sealed = [...blocks, rest].reduce((sum, block) => sum + (block?.size ?? 0), 0)
  expect(sealed).toBe(9)
  expect(await verify()).toEqual({ blocks: [], total: 0 })
})

test('a transfer that was altered shows in its block, and only there', async () => {
  await threeBlocks()
  await tamper('update transfer set amount = amount + 1 where debit_entry = 6')
  expect(await verify()).toEqual({
    blocks: [{ number: 2n, message: 'its transfers are not what was sealed' }],
    total: 1,
  })
})

test('every column is sealed', async () => {
  await threeBlocks()
  const changes: Record<string, string> = {
    id: `'${firstIdAt(new Date())}'`,
    movement: `'token.revoke'`,
    operation_id: 'gen_random_uuid()',
    position: '7',
    debit_id: 'gen_random_uuid()',
    credit_id: 'gen_random_uuid()',
    asset: `'COIN'`,
    amount: '2',
    debit_balance: '1',
    debit_entry: '1000',
    credit_balance: '1, credit_entry = 1',
    credit_entry: '1, credit_balance = 1',
    memo: `''`,
    posted_at: `posted_at + interval '1 microsecond'`,
  }
  const columns = await sqlOf(database.pool).query<{ name: string }>(
    `select column_name as name from information_schema.columns where table_name = 'transfer' and table_schema = 'public'`,
  )
  expect(columns.map(({ name }) => name).sort()).toEqual(Object.keys(changes).sort())

  for (const [column, change] of Object.entries(changes)) {
    const takenBack = inTransaction(database.pool, async (sql) => {
      await sql.query('alter table transfer disable trigger user')
      await sql.query(`update transfer set ${column} = ${change} where debit_entry = 6`)
      expect((await verifyBlocks(sql)).blocks[0]?.number, column).toBe(2n)
      throw new Error('taken back')
    })
    await expect(takenBack).rejects.toThrow('taken back')
  }
})

test('a transfer that turns up among sealed ones, or disappears from them, is counted', async () => {
  await threeBlocks()
  await tamper(
    `insert into transfer (id, movement, operation_id, position, debit_id, credit_id, asset, amount, posted_at)
     select (left(id::text, 35) || '0')::uuid, movement, gen_random_uuid(), 0, debit_id, credit_id, asset, amount, posted_at
     from transfer where debit_entry = 6 and right(id::text, 1) <> '0'
     union all
     select (left(id::text, 35) || '1')::uuid, movement, gen_random_uuid(), 0, debit_id, credit_id, asset, amount, posted_at
     from transfer where debit_entry = 6 and right(id::text, 1) = '0'`,
  )
  await tamper('delete from transfer where debit_entry = 9')
  const { blocks, total } = await verify()
  expect(total).toBe(2)
  expect(blocks.map(({ message }) => message)).toEqual([
    '1 transfers turned up after 4 had been sealed',
    '1 of 2 transfers are gone',
  ])
})

test('a block that was sealed again after tampering does not fit the next one', async () => {
  const [, second] = await threeBlocks()
  await tamper('update transfer set amount = amount + 1 where debit_entry = 6')
  // The forger computes the second block anew, with all means that sealing has, and leaves the third one alone.
  await tamper(`create table kept as select * from ledger_block where number > 2`)
  await tamper(`delete from ledger_block where number >= 2`)
  const forged = await seal({ maxRows: 4 })
  await tamper(`insert into ledger_block select * from kept`)
  expect(forged?.hash).not.toEqual(second?.hash)
  expect(await verify()).toEqual({
    blocks: [{ number: 3n, message: 'does not follow the block before' }],
    total: 1,
  })
})

test('a block that was taken out of the chain is missed', async () => {
  await threeBlocks()
  await tamper('delete from ledger_block where number = 2')
  expect(await verify()).toMatchObject({ blocks: [{ number: 3n, message: 'does not follow the block before' }] })
})

test('blocks cannot be updated, deleted or truncated', async () => {
  await seal()
  const { pool } = database
  await expect(pool.query('update ledger_block set transfers = 0')).rejects.toThrow('never updated')
  await expect(pool.query('delete from ledger_block')).rejects.toThrow('never deleted')
  await expect(pool.query('truncate ledger_block')).rejects.toThrow('never truncated')
})

test('sealing wants to see what was committed while it waited for its turn', async () => {
  const sealing = inTransaction(database.pool, async (sql) => {
    await sql.query('set transaction isolation level repeatable read')
    return await sealBlock(sql, { now: new Date() })
  })
  await expect(sealing).rejects.toThrow('Sealing must see')
})
