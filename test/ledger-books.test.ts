import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBooks } from '../src/domain/ledger/books.ts'
import { releaseExpiredHolds } from '../src/domain/ledger/holds.ts'
import type { Movement } from '../src/domain/ledger/movements.ts'
import { platformAccount } from '../src/domain/ledger/platform-accounts.ts'
import { accountStatement, platformBalance } from '../src/domain/ledger/reads.ts'
import { rollUp } from '../src/domain/ledger/roll-up.ts'
import { newId } from '../src/kit/ids.ts'
import { amount } from '../src/kit/money.ts'
import type { Sql } from '../src/kit/sql.ts'
import { inTransaction, sqlOf } from '../src/platform/database.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'
import {
  count,
  deduct,
  deductFrom,
  findingsIn,
  issuance,
  issue,
  issueToken,
  NOON,
  revenue,
  standing,
  withBooks,
} from './support/ledger.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
})

afterAll(async () => {
  expect(await findingsIn(database.pool)).toEqual([])
  await database.drop()
})

test('a transfer moves an amount from one account to the other, and both sides say what is left', async () => {
  const { pool } = database
  const revenueBefore = await platformBalance(sqlOf(pool), revenue)
  const token = await issueToken(pool, 100)
  await deductFrom(pool, token, 30)
  await deductFrom(pool, token, 70)

  expect(await standing(pool, token)).toEqual({ balance: 0n, held: 0n, entries: 3n, closed: false })
  expect((await platformBalance(sqlOf(pool), revenue)) - revenueBefore).toBe(100n)
  const statement = await accountStatement(sqlOf(pool), token, { limit: 10 })
  expect(statement.map(({ entry, movement, change, balance }) => [entry, movement, change, balance])).toEqual([
    [3n, 'token.deduct', -70n, 0n],
    [2n, 'token.deduct', -30n, 70n],
    [1n, 'token.issue', 100n, 100n],
  ])
  expect(statement.map(({ counterparty }) => counterparty)).toEqual([revenue.id, revenue.id, issuance.id])
})

test('many transfers of one batch follow each other on one account, in the order in which they were posted', async () => {
  const { pool } = database
  const token = await issueToken(pool, 1_000)
  await withBooks(pool, [token], (books) => {
    for (let taken = 1; taken <= 20; taken += 1) deduct(books, token, amount(taken))
  })
  const statement = await accountStatement(sqlOf(pool), token, { limit: 3 })
  expect(statement.map(({ entry, change, balance }) => [entry, change, balance])).toEqual([
    [21n, -20n, 790n],
    [20n, -19n, 810n],
    [19n, -18n, 829n],
  ])
})

test('a statement is read page by page, newest first, without a gap or a repetition', async () => {
  const { pool } = database
  const token = await issueToken(pool, 1_000)
  await withBooks(pool, [token], (books) => {
    for (let round = 0; round < 6; round += 1) {
      deduct(books, token, amount(5))
      issue(books, token, amount(2))
    }
  })
  const entries: bigint[] = []
  let page = await accountStatement(sqlOf(pool), token, { limit: 5 })
  while (page.length > 0) {
    entries.push(...page.map(({ entry }) => entry))
    page = await accountStatement(sqlOf(pool), token, { limit: 5, beforeEntry: page.at(-1)?.entry })
  }
  expect(entries).toEqual([13n, 12n, 11n, 10n, 9n, 8n, 7n, 6n, 5n, 4n, 3n, 2n, 1n])
})

test('an operation cannot be posted twice', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  const operationId = newId()
  await deductFrom(pool, token, 10, operationId)
  await expect(deductFrom(pool, token, 10, operationId)).rejects.toThrow(/transfer_operation_id_position/)
  expect((await standing(pool, token)).balance).toBe(90n)
})

test('an operation that posts in several transactions says which transfer of it this is', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  const operationId = newId()
  await deductFrom(pool, token, 10, operationId)
  const second = (position: number) =>
    withBooks(pool, [token], (books) =>
      books.post('token.deduct', {
        debit: books.account(token),
        credit: revenue,
        amount: amount(10),
        operationId,
        position,
      }),
    )
  await second(1)
  await expect(second(1)).rejects.toThrow(/transfer_operation_id_position/)
  expect((await standing(pool, token)).balance).toBe(80n)
})

test('the transfers of one operation are numbered from 0, whatever is posted between them or taken back', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  const [one, other] = [newId(), newId()]
  await withBooks(pool, [token], (books) => {
    deduct(books, token, amount(1), one)
    const mark = books.mark()
    deduct(books, token, amount(1), one)
    deduct(books, token, amount(1), other)
    books.undo(mark)
    deduct(books, token, amount(1), other)
    deduct(books, token, amount(1), one)
  })
  const rows = await sqlOf(pool).query<{ operation_id: string; position: number }>(
    'select operation_id, position from transfer where operation_id = any($1::uuid[]) order by id',
    [[one, other]],
  )
  expect(rows.map(({ operation_id, position }) => [operation_id, position])).toEqual([
    [one, 0],
    [other, 0],
    [one, 1],
  ])
})

test('what a refused operation had posted is taken back, and its siblings stand', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  await withBooks(pool, [token], (books) => {
    const account = books.account(token)
    deduct(books, token, amount(10))
    const mark = books.mark()
    deduct(books, token, amount(20))
    const hold = books.hold(account, { amount: amount(30), operationId: newId() })
    books.capture(hold, { movement: 'token.deduct', credit: revenue, amount: amount(5), operationId: newId() })
    books.hold(account, { amount: amount(7), operationId: newId() })
    books.open({ owner: 'nobody', purpose: 'token', asset: 'BUDGET' })
    books.undo(mark)
    expect(account).toMatchObject({ balance: 90n, held: 0n, entries: 2n, available: 90n })
    deduct(books, token, amount(40))
  })
  expect(await standing(pool, token)).toEqual({ balance: 50n, held: 0n, entries: 3n, closed: false })
  expect(await count(pool, 'hold where account_id = $1', [token])).toBe(0)
  expect(await count(pool, `account where owner = 'nobody'`)).toBe(0)
})

test('books in which nothing changed are not written, and an empty set of accounts is not asked for', async () => {
  const asked: string[] = []
  const sql: Sql = {
    query: async (text) => {
      asked.push(text)
      return []
    },
  }
  const books = await openBooks(sql, [], NOON)
  const mark = books.mark()
  books.open({ owner: 'nobody', purpose: 'token', asset: 'BUDGET' })
  books.undo(mark)
  await books.write(sql)
  expect(asked).toEqual([])
})

test('a batch is written in one statement', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  let statements = 0
  await inTransaction(pool, async (sql) => {
    const books = await openBooks(sql, [token, token], NOON)
    issue(books, books.open({ owner: newId(), purpose: 'token', asset: 'BUDGET' }).id, amount(5))
    deduct(books, token, amount(5))
    books.hold(books.account(token), { amount: amount(5), operationId: newId() })
    await books.write({
      query: (text, parameters) => {
        statements += 1
        return sql.query(text, parameters)
      },
    })
  })
  expect(statements).toBe(1)
})

test('books can be written more than once, but what is written cannot be taken back', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  await inTransaction(pool, async (sql) => {
    const books = await openBooks(sql, [token], NOON)
    const mark = books.mark()
    const operationId = newId()
    deduct(books, token, amount(1), operationId)
    await books.write(sql)
    expect(() => books.undo(mark)).toThrow('cannot be taken back')
    deduct(books, token, amount(2), operationId)
    await books.write(sql)
  })
  expect(await standing(pool, token)).toMatchObject({ balance: 97n, entries: 3n })
})

test('two books on one account in one transaction are noticed, and neither is believed', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  const written = inTransaction(pool, async (sql) => {
    const first = await openBooks(sql, [token], NOON)
    const second = await openBooks(sql, [token], NOON)
    first.hold(first.account(token), { amount: amount(60), operationId: newId() })
    second.hold(second.account(token), { amount: amount(60), operationId: newId() })
    await first.write(sql)
    await second.write(sql)
  })
  await expect(written).rejects.toThrow('what they had seen under the lock has changed')
  expect(await standing(pool, token)).toMatchObject({ balance: 100n, held: 0n })
})

test('an account that other books have closed meanwhile is not opened again by ours', async () => {
  const { pool } = database
  const token = await issueToken(pool, 0)
  const written = inTransaction(pool, async (sql) => {
    const first = await openBooks(sql, [token], NOON)
    const second = await openBooks(sql, [token], NOON)
    first.close(first.account(token))
    issue(second, token, amount(5))
    await first.write(sql)
    await second.write(sql)
  })
  await expect(written).rejects.toThrow('what they had seen under the lock has changed')
})

test.each<[string, Movement, 'issuance' | 'revenue', 'issuance' | 'revenue']>([
  ['revenue cannot be issued', 'token.issue', 'revenue', 'issuance'],
  ['a deduction cannot start at issuance', 'token.deduct', 'issuance', 'revenue'],
  ['there is no movement of that name', 'token.gift' as Movement, 'issuance', 'revenue'],
])('%s: what is not in the table of movements cannot be posted', async (_title, movement, debit, credit) => {
  const platform = { issuance, revenue }
  const books = await openBooks(sqlOf(database.pool), [], NOON)
  const posting = {
    debit: platform[debit],
    credit: platform[credit],
    amount: amount(1),
    operationId: newId(),
  }
  expect(() => books.post(movement, posting)).toThrow(/cannot move from|No such movement/)
})

test('the books take nothing that a noun should have refused: every such case is a bug', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  const stranger = await issueToken(pool, 100)
  const operationId = newId()
  await inTransaction(pool, async (sql) => {
    const books = await openBooks(sql, [token], NOON)
    const elsewhere = (await openBooks(sql, [stranger], NOON)).account(stranger)
    const account = books.account(token)
    expect(() => deduct(books, token, amount(101))).toThrow('does not cover')
    expect(() => deduct(books, token, amount(0))).toThrow('must move something')
    expect(() => books.account(stranger)).toThrow('is not in these books')
    expect(() => books.placedHold(newId())).toThrow('is not in these books')
    expect(() =>
      books.post('token.deduct', { debit: elsewhere, credit: revenue, amount: amount(1), operationId }),
    ).toThrow('is not locked in these books')
    expect(() => books.hold(account, { amount: amount(101), operationId })).toThrow('does not cover the hold')
    expect(() => books.close(account)).toThrow('is not empty')
    expect(() => books.open({ owner: 'x', purpose: 'revenue', asset: 'BUDGET' })).toThrow('platform account')
    expect(() => books.open({ owner: 'x', purpose: 'token', asset: 'USD' })).toThrow('cannot be in USD')
    expect(() => platformAccount('token', 'BUDGET')).toThrow('No platform account')

    const hold = books.hold(account, { amount: amount(40), operationId })
    expect(() => deduct(books, token, amount(61))).toThrow('does not cover')
    expect(() =>
      books.capture(hold, { movement: 'token.deduct', credit: revenue, amount: amount(41), operationId }),
    ).toThrow('holds less than is captured')
    expect(() => books.expire(hold)).toThrow('has not expired')
    books.release(hold)
    expect(() => books.release(hold)).toThrow('No way from released to released')
  })
  await expect(inTransaction(pool, (sql) => openBooks(sql, [revenue.id], NOON))).rejects.toThrow('never locked')
})

test('what is set aside cannot be spent, and what is captured of it is; the rest is free again', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  const holdId = await withBooks(pool, [token], (books) => {
    const account = books.account(token)
    const hold = books.hold(account, { amount: amount(60), operationId: newId() })
    expect(account).toMatchObject({ balance: 100n, held: 60n, available: 40n })
    return hold.id
  })
  expect(await standing(pool, token)).toMatchObject({ balance: 100n, held: 60n })
  await withBooks(
    pool,
    [token],
    (books) => {
      const hold = books.placedHold(holdId)
      books.capture(hold, { movement: 'token.deduct', credit: revenue, amount: amount(45), operationId: newId() })
      expect(hold).toMatchObject({ status: 'captured', captured: 45n })
    },
    { holds: [holdId] },
  )
  expect(await standing(pool, token)).toMatchObject({ balance: 55n, held: 0n })
  expect(await count(pool, `hold where id = $1 and status = 'captured' and captured = 45`, [holdId])).toBe(1)
})

test('a hold that is placed and ended within one batch is remembered with its end', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  const holdId = await withBooks(pool, [token], (books) => {
    const hold = books.hold(books.account(token), { amount: amount(60), operationId: newId() })
    books.release(hold)
    return hold.id
  })
  expect(await count(pool, `hold where id = $1 and status = 'released' and ended_at = $2`, [holdId, NOON])).toBe(1)
  expect(await standing(pool, token)).toMatchObject({ balance: 100n, held: 0n })
})

test('a hold whose account is not locked cannot be touched', async () => {
  const { pool } = database
  const [token, other] = [await issueToken(pool, 100), await issueToken(pool, 100)]
  const holdId = await withBooks(pool, [token], (books) => {
    return books.hold(books.account(token), { amount: amount(60), operationId: newId() }).id
  })
  await expect(withBooks(pool, [other], () => {}, { holds: [holdId] })).rejects.toThrow('not locked in these books')
})

test('holds whose time is over are given back, a bounded number at a time, and the others stay', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  const later = (minutes: number) => new Date(NOON.getTime() + minutes * 60_000)
  await withBooks(pool, [token], (books) => {
    for (const minutes of [1, 2, 3, 30])
      books.hold(books.account(token), { amount: amount(10), operationId: newId(), expiresAt: later(minutes) })
    books.hold(books.account(token), { amount: amount(10), operationId: newId() })
  })
  const release = () => inTransaction(pool, (sql) => releaseExpiredHolds(sql, later(5), 2))
  expect([await release(), await release(), await release()]).toEqual([2, 1, 0])
  expect(await standing(pool, token)).toMatchObject({ balance: 100n, held: 20n })
})

test('on a closed account nothing moves ever again', async () => {
  const { pool } = database
  const token = await issueToken(pool, 0)
  await withBooks(pool, [token], (books) => books.close(books.account(token)))
  expect((await standing(pool, token)).closed).toBe(true)
  await expect(withBooks(pool, [token], (books) => issue(books, token, amount(1)))).rejects.toThrow('is closed')
})

test('the database refuses an overdraft by itself, even when no code has looked', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  await expect(pool.query('update account set balance = -1 where id = $1', [token])).rejects.toThrow(/check constraint/)
  await expect(pool.query('update account set held = 101 where id = $1', [token])).rejects.toThrow(/check constraint/)
  await expect(pool.query('update account set closed = true where id = $1', [token])).rejects.toThrow(
    /check constraint/,
  )
})

test('transfers cannot be updated, deleted or truncated, and accounts cannot be deleted', async () => {
  const { pool } = database
  await issueToken(pool, 100)
  await expect(pool.query('update transfer set amount = amount + 1')).rejects.toThrow('never updated')
  await expect(pool.query('delete from transfer')).rejects.toThrow('never deleted')
  await expect(pool.query('truncate transfer')).rejects.toThrow('never truncated')
  await expect(pool.query('delete from account')).rejects.toThrow('never deleted')
})

test('two connections that post to one platform account never wait for each other', async () => {
  const { pool } = database
  const [one, other] = [await issueToken(pool, 100), await issueToken(pool, 100)]
  await inTransaction(pool, async (sql) => {
    const books = await openBooks(sql, [one], NOON)
    deduct(books, one, amount(10))
    await books.write(sql)
    // The first has written and not committed; the second must be through before it does.
    await inTransaction(pool, async (second) => {
      await second.query(`set local lock_timeout = '200ms'`)
      const theirs = await openBooks(second, [other], NOON)
      deduct(theirs, other, amount(10))
      await theirs.write(second)
    })
    expect((await standing(pool, other)).balance).toBe(90n)
  })
  expect((await standing(pool, one)).balance).toBe(90n)
})

test('two connections that post to one account take turns, and the second sees what the first has left', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  const { second } = await inTransaction(pool, async (sql) => {
    const books = await openBooks(sql, [token], NOON)
    deduct(books, token, amount(70))
    await books.write(sql)
    const second = withBooks(pool, [token], (theirs) => theirs.account(token).available)
    while (
      (await count(pool, `pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)) === 0
    );
    return { second }
  })
  expect(await second).toBe(30n)
})

test('a batch leaves one delta for each platform account, and rolling up moves them into the balance', async () => {
  const { pool } = database
  const sql = sqlOf(pool)
  await rollUp(sql, 1_000)
  const before = await platformBalance(sql, revenue)
  const token = await issueToken(pool, 1_000)
  await withBooks(pool, [token], (books) => {
    for (let round = 0; round < 50; round += 1) deduct(books, token, amount(3))
  })
  expect(await count(pool, 'account_delta where account_id = $1', [revenue.id])).toBe(1)
  expect((await standing(pool, revenue.id)).balance).toBe(before)
  expect(await platformBalance(sql, revenue)).toBe(before + 150n)

  expect([await rollUp(sql, 1), await rollUp(sql, 1), await rollUp(sql, 1)]).toEqual([1, 1, 0])
  expect((await standing(pool, revenue.id)).balance).toBe(before + 150n)
  expect(await platformBalance(sql, revenue)).toBe(before + 150n)
})

test('several may roll up at once while others post: no delta is counted twice or lost', async () => {
  const { pool } = database
  const sql = sqlOf(pool)
  const before = await platformBalance(sql, revenue)
  const tokens = await Promise.all(Array.from({ length: 4 }, () => issueToken(pool, 1_000)))
  const posting = tokens.map(async (token) => {
    for (let round = 0; round < 15; round += 1) await deductFrom(pool, token, 10)
  })
  const rolling = Array.from({ length: 3 }, async () => {
    for (let round = 0; round < 15; round += 1) await rollUp(sql, 3)
  })
  await Promise.all([...posting, ...rolling])
  expect(await platformBalance(sql, revenue)).toBe(before + 600n)
  while ((await rollUp(sql, 1_000)) > 0) expect(await findingsIn(pool)).toEqual([])
  expect((await standing(pool, revenue.id)).balance).toBe(before + 600n)
})

test('a memo is kept as it was written, whatever is in it', async () => {
  const { pool } = database
  const token = await issueToken(pool, 100)
  const memos = ['plain', '"quoted", {braced}', 'back\\slash', 'new\nline', 'NULL', '', 'ünïcode ✓']
  await withBooks(pool, [token], (books) => {
    for (const memo of memos)
      books.post('token.deduct', {
        debit: books.account(token),
        credit: revenue,
        amount: amount(1),
        operationId: newId(),
        memo,
      })
  })
  const statement = await accountStatement(sqlOf(pool), token, { limit: memos.length })
  expect(statement.map(({ memo }) => memo).reverse()).toEqual(memos)
})
