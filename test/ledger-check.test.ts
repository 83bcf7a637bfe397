import { afterAll, beforeAll, expect, test } from 'vitest'
import { ledgerCheckCommand } from '../src/commands/ledger-check.ts'
import { openBooks } from '../src/domain/ledger/books.ts'
import {
  type CheckOptions,
  checkLedger,
  checks,
  examineLedger,
  type Finding,
  inSnapshot,
  MAX_FINDINGS,
} from '../src/domain/ledger/check.ts'
import { purposes } from '../src/domain/ledger/movements.ts'
import { rollUp } from '../src/domain/ledger/roll-up.ts'
import { sealBlock } from '../src/domain/ledger/seal.ts'
import { newId } from '../src/kit/ids.ts'
import { amount } from '../src/kit/money.ts'
import type { Sql } from '../src/kit/sql.ts'
import { inTransaction, sqlOf } from '../src/platform/database.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'
import { count, deduct, deductFrom, issuance, issue, issueToken, NOON, revenue, withBooks } from './support/ledger.ts'

let database: TestDatabase
let token: string
let other: string

/** What every part of the books can hold: two tokens, a batch of deductions, holds in every state, deltas, a block. */
beforeAll(async () => {
  database = await freshDatabase()
  const { pool } = database
  token = await issueToken(pool, 100)
  other = await issueToken(pool, 50)
  await withBooks(pool, [token, other], (books) => {
    for (let round = 0; round < 5; round += 1) deduct(books, token, amount(7))
    deduct(books, other, amount(20))
    books.hold(books.account(token), { amount: amount(10), operationId: newId() })
    books.release(books.hold(books.account(token), { amount: amount(10), operationId: newId() }))
    const hold = books.hold(books.account(other), { amount: amount(10), operationId: newId() })
    books.capture(hold, { movement: 'token.deduct', credit: revenue, amount: amount(4), operationId: newId() })
  })
  expect(await rollUp(sqlOf(pool), 2)).toBe(2)
})

afterAll(() => database.drop())

/** Ids carry whole milliseconds: these few make sure that what has just been committed counts as past. */
const AT_ONCE = -5

class TakenBack extends Error {}

interface Tampered {
  readonly sql: Sql
  /** As somebody with all rights would, who knows of the trigger. */
  tamper(statement: string, parameters?: readonly unknown[]): Promise<void>
  findings(now?: Date, options?: CheckOptions): Promise<Finding[]>
  /** The checks that find something. */
  broken(): Promise<string[]>
}

/** What is tampered with in here is found in here, and taken back in the end. */
async function tampering(work: (hands: Tampered) => Promise<void>): Promise<void> {
  const all = inTransaction(database.pool, async (sql) => {
    const findings = (now = NOON, options = {}) => checkLedger(sql, now, options)
    await work({
      sql,
      async tamper(statement, parameters) {
        await sql.query('alter table transfer disable trigger transfer_is_immutable')
        await sql.query(statement, parameters)
      },
      findings,
      broken: async () => [...new Set((await findings()).map(({ check }) => check))],
    })
    throw new TakenBack()
  })
  await expect(all).rejects.toThrow(TakenBack)
}

test('a sound ledger has no finding, whether deltas are rolled up or not', () =>
  tampering(async ({ sql, broken }) => {
    expect(await broken()).toEqual([])
    expect(await rollUp(sql, 100)).toBe(1)
    expect(await broken()).toEqual([])
  }))

test('a balance that somebody has raised is not what its transfers add up to, nor are all of its asset 0', () =>
  tampering(async ({ tamper, findings, broken }) => {
    await tamper('update account set balance = balance + 5 where id = $1', [token])
    expect(await broken()).toEqual(['balances', 'assets', 'entries'])
    const [finding] = await findings()
    expect(finding).toEqual({
      check: 'balances',
      account: token,
      message: 'the balance is 70, but the transfers add up to 65',
    })
  }))

test('two balances that somebody has changed against each other still add up to 0, but are both found', () =>
  tampering(async ({ tamper, broken }) => {
    await tamper('update account set balance = balance + 5 where id = $1', [token])
    await tamper('update account set balance = balance - 5 where id = $1', [other])
    expect(await broken()).toEqual(['balances', 'entries'])
  }))

test('a delta that is lost makes our own account wrong', () =>
  tampering(async ({ tamper, broken }) => {
    await tamper('delete from account_delta where account_id = $1', [revenue.id])
    expect(await broken()).toEqual(['balances', 'assets', 'entries'])
  }))

test('an asset whose balances do not add up to 0 is found', () =>
  tampering(async ({ tamper, findings, broken }) => {
    // Out of thin air: a transfer from an account that does not exist leaves every balance explained.
    await tamper(
      `insert into transfer (id, movement, operation_id, position, debit_id, credit_id, asset, amount,
       credit_balance, credit_entry, posted_at)
     select $1, 'token.issue', $1, 0, $1, id, 'BUDGET', 5, balance + 5, entries + 1, now() from account where id = $2`,
      [newId(), token],
    )
    await tamper('update account set balance = balance + 5, entries = entries + 1 where id = $1', [token])
    expect(await broken()).toEqual(['assets', 'movements'])
    expect(await findings()).toContainEqual({
      check: 'assets',
      message: 'all balances of BUDGET add up to 5',
    })
  }))

test('an amount held without a hold is found, and so is a hold without an amount held', () =>
  tampering(async ({ tamper, findings, broken }) => {
    await tamper('update account set held = held + 1 where id = $1', [token])
    expect(await broken()).toEqual(['holds'])
    await tamper('update account set held = held - 1 where id = $1', [token])
    await tamper(`update hold set status = 'held', ended_at = null, captured = 0 where account_id = $1`, [other])
    expect(await findings()).toEqual([
      { check: 'holds', account: other, message: '0 is held, but the open holds add up to 10' },
    ])
  }))

test('a transfer that was deleted leaves a gap', () =>
  tampering(async ({ tamper, findings, broken }) => {
    await tamper('delete from transfer where debit_id = $1 and debit_entry = 3', [token])
    expect(await broken()).toEqual(['balances', 'entries'])
    expect(await findings()).toContainEqual(
      expect.objectContaining({ check: 'entries', account: token, message: 'entry 4 follows entry 2' }),
    )
  }))

test('a gap between entry numbers is found, even when every balance is right', () =>
  tampering(async ({ tamper, findings }) => {
    await tamper('update transfer set debit_entry = 8 where debit_id = $1 and debit_entry = 6', [token])
    await tamper('update account set entries = 8 where id = $1', [token])
    expect(await findings()).toEqual([
      {
        check: 'entries',
        account: token,
        transfer: expect.any(String) as string,
        message: 'entry 8 follows entry 5',
      },
    ])
  }))

test('the last transfer of an account does not disappear unnoticed either', () =>
  tampering(async ({ tamper, findings, broken }) => {
    await tamper('delete from transfer where debit_id = $1 and debit_entry = 6', [token])
    await tamper('update account set balance = balance + 7 where id = $1', [token])
    await tamper('update account set balance = balance - 7 where id = $1', [revenue.id])
    const found = await findings()
    expect(found.map(({ check, account }) => [check, account])).toEqual(
      expect.arrayContaining([
        ['entries', token],
        ['entries', revenue.id],
      ]),
    )
    expect(await broken()).toEqual(['entries'])
  }))

test('a running balance that was rewritten is found where it breaks', () =>
  tampering(async ({ tamper, findings }) => {
    await tamper('update transfer set debit_balance = debit_balance + 1 where debit_id = $1 and debit_entry = 3', [
      token,
    ])
    const found = await findings()
    expect(found.map(({ check, message }) => [check, message])).toEqual([
      ['entries', 'entry 3 takes the balance from 93 to 87 by -7'],
      ['entries', 'entry 4 takes the balance from 87 to 79 by -7'],
    ])
  }))

test('an account that counts entries it has not seen is found', () =>
  tampering(async ({ tamper, findings }) => {
    const empty = newId()
    await tamper(
      `insert into account (id, owner, purpose, asset, floor, opened_at) values ($1, 'x', 'token', 'BUDGET', 0, now())`,
      [empty],
    )
    await tamper('update account set entries = 1 where id = $1', [empty])
    await tamper('update account set entries = entries + 1 where id = $1', [issuance.id])
    const found = await findings()
    expect(found.map(({ check, account }) => [check, account]).sort()).toEqual(
      [
        ['entries', empty],
        ['entries', issuance.id],
      ].sort(),
    )
  }))

test.each([
  ['an unknown movement', `movement = 'token.gift'`, 'there is no movement token.gift'],
  ['a movement between other purposes', `movement = 'token.issue'`, 'token.issue moved from token to revenue'],
  ['another asset than the accounts', `asset = 'COIN'`, 'COIN moved from BUDGET to BUDGET'],
])('a transfer of %s is found', (_title, change, message) =>
  tampering(async ({ tamper, findings }) => {
    await tamper(`update transfer set ${change} where debit_id = $1 and debit_entry = 2`, [token])
    expect(await findings()).toEqual([{ check: 'movements', transfer: expect.any(String) as string, message }])
  }),
)

test('a transfer that is not numbered on a token’s account is found', () =>
  tampering(async ({ tamper, broken }) => {
    await tamper(
      'update transfer set debit_entry = null, debit_balance = null where debit_id = $1 and debit_entry = 6',
      [token],
    )
    expect(await broken()).toEqual(['entries', 'movements'])
  }))

test('an account below its floor and a closed one that is not empty are found', () =>
  tampering(async ({ sql, tamper, findings }) => {
    const constraints = await sql.query<{ conname: string }>(
      `select conname from pg_constraint where conrelid = 'account'::regclass and contype = 'c'`,
    )
    for (const { conname } of constraints) await sql.query(`alter table account drop constraint "${conname}"`)
    await tamper('update account set floor = 60 where id = $1', [token])
    await tamper('update account set closed = true where id = $1', [other])
    const found = await findings()
    expect(found.map(({ check, account, message }) => [check, account, message])).toEqual([
      ['limits', token, 'a balance of 65, 10 held, is below its floor of 60'],
      ['limits', other, 'closed with a balance of 26, 0 held'],
    ])
  }))

test('what has stayed too long on an account that returns to zero is found, what came in lately is not', () =>
  tampering(async ({ sql, findings }) => {
    const options = {
      purposes: { token: { ...purposes.token, returnsToZero: true as const } },
      maxStayMs: 3_600_000,
    }
    const later = new Date(NOON.getTime() + 3_700_000)
    expect(await findings(NOON, options)).toEqual([])
    const found = await findings(later, options)
    expect(found.map(({ check, account }) => [check, account])).toEqual([
      ['stays', token],
      ['stays', other],
    ])

    // First in, first out: what leaves now was there before what comes in now.
    const books = await openBooks(sql, [token, other], later)
    deduct(books, token, amount(55))
    issue(books, token, amount(500))
    deduct(books, other, amount(26))
    issue(books, other, amount(500))
    await books.write(sql)
    expect(await findings(later, options)).toEqual([
      {
        check: 'stays',
        account: token,
        message: expect.stringMatching(/^10 of 510 has been there since before/) as string,
      },
    ])
  }))

test('a stay is measured on our own accounts too, in both directions', () =>
  tampering(async ({ findings }) => {
    const options = {
      purposes: { issuance: { ...purposes.issuance, returnsToZero: true as const } },
      maxStayMs: 3_600_000,
    }
    expect(await findings(NOON, options)).toEqual([])
    expect(await findings(new Date(NOON.getTime() + 7_200_000), options)).toEqual([
      {
        check: 'stays',
        account: issuance.id,
        message: expect.stringMatching(/^150 of -150 has been there/) as string,
      },
    ])
  }))

test('a transfer that was rewritten consistently is still not what was sealed', () =>
  tampering(async ({ sql, tamper, findings }) => {
    await sealBlock(sql, { now: new Date(), lagMs: AT_ONCE })
    expect(await findings()).toEqual([])
    await tamper(`update transfer set memo = 'something else' where debit_id = $1 and debit_entry = 2`, [token])
    expect(await findings()).toEqual([
      { check: 'blocks', block: '1', message: 'its transfers are not what was sealed' },
    ])
  }))

test('of very many findings the first are listed, and all are counted', () =>
  tampering(async ({ sql, tamper }) => {
    await tamper(
      `insert into account (id, owner, purpose, asset, floor, entries, opened_at)
       select gen_random_uuid(), n::text, 'token', 'BUDGET', 0, 1, now() from generate_series(1, $1) as n`,
      [MAX_FINDINGS + 20],
    )
    const reports = await examineLedger(sql, NOON)
    const entries = reports.find(({ check }) => check === 'entries')
    expect(entries?.findings).toHaveLength(MAX_FINDINGS)
    expect(entries?.total).toBe(MAX_FINDINGS + 20)
  }))

test('the command prints every check and every finding, and its exit code tells', async () => {
  const { url, pool } = database
  const print = async () => {
    const lines: string[] = []
    return { code: await ledgerCheckCommand(url, (line) => lines.push(line)), text: lines.join('\n') }
  }
  const sound = await print()
  expect(sound.code).toBe(0)
  for (const sentence of Object.values(checks)) expect(sound.text).toContain(sentence)
  expect(sound.text).toContain('The books are in order.')

  await inTransaction(pool, (sql) => sealBlock(sql, { now: new Date(), lagMs: AT_ONCE }))
  await pool.query('update account set held = held + 1 where id = $1', [token])
  const unsound = await print()
  await pool.query('update account set held = held - 1 where id = $1', [token])
  expect(unsound.code).toBe(1)
  expect(unsound.text).toContain(`account ${token}: 11 is held, but the open holds add up to 10`)
  expect(unsound.text).toMatch(/Sealed up to block 1, [0-9a-f]{64}/)
  expect(unsound.text).toContain('The books are NOT in order.')
})

test('all checks see one moment: what is posted meanwhile is in none of them', async () => {
  const { pool } = database
  const another = await issueToken(pool, 100)
  await inTransaction(pool, (sql) =>
    inSnapshot(sql, async () => {
      const seen = async () => (await sql.query('select id from transfer where debit_id = $1', [another])).length
      expect(await seen()).toBe(0)
      await deductFrom(pool, another, 10)
      expect(await seen()).toBe(0)
      expect(await checkLedger(sql, NOON)).toEqual([])
    }),
  )
  expect(await count(pool, 'transfer where debit_id = $1', [another])).toBe(1)
})

test('a snapshot without a transaction around it is a bug, not a check of moving books', async () => {
  await expect(inSnapshot(sqlOf(database.pool), async () => {})).rejects.toThrow('wants a transaction')
})
