import type pg from 'pg'
import { platformAccount } from '../../src/domain/ledger/platform-accounts.ts'
import { newId } from '../../src/kit/ids.ts'

const revenue = platformAccount('revenue', 'BUDGET')

/** A deduction that was asked for. */
export interface Deduction {
  readonly id: string
  readonly tokenId: string
  readonly amount: number
}

/** The intake row: what was asked for is remembered before the caller is told. */
export const intake = ({ id, tokenId, amount }: Deduction) => ({
  name: 'intake',
  text: `insert into operation (id, kind, job_id, input, submitted_at) values ($1::uuid, 'token.deduct', ($1::uuid)::text, $2, $3)`,
  values: [id, JSON.stringify({ token_id: tokenId, amount }), new Date()],
})

/**
 * One deduction in one transaction, with the ledger statements that Bursar has for a batch, as short as they can be
 * written for a single one: operation and account locked, balance checked under the lock, then transfer, movement of the
 * platform's account, new balance and stored outcome in one statement. Doing it twice finds nothing open.
 */
export async function deduct(client: pg.ClientBase, id: string): Promise<void> {
  const startedAt = new Date()
  const operation = await client.query({
    name: 'operation',
    text: `select input from operation where id = $1 and status in ('queued', 'processing') for no key update`,
    values: [id],
  })
  const input: Input | undefined = operation.rows[0]?.input
  if (input === undefined) return
  const found = await client.query({
    name: 'account',
    text: `select account.id, balance, held, floor, entries, token.expires_at
           from token join account on account.id = token.account_id
           where token.id = $1 and not account.closed for no key update of account`,
    values: [input.token_id],
  })
  const account: AccountRow | undefined = found.rows[0]
  const amount = BigInt(input.amount)
  const now = new Date()
  if (account === undefined || account.expires_at <= now || available(account) < amount) {
    await client.query({ name: 'refuse', text: REFUSE, values: [id, '{"code":"token.insufficient"}', startedAt, now] })
    return
  }
  const balance = BigInt(account.balance) - amount
  const transferId = newId()
  const result = {
    success: true,
    token_id: input.token_id,
    amount: input.amount,
    remaining: Number(balance),
    transaction_id: transferId,
  }
  await client.query({
    name: 'post',
    text: POST,
    values: [
      id,
      transferId,
      account.id,
      balance,
      BigInt(account.entries) + 1n,
      revenue.id,
      amount,
      now,
      newId(),
      JSON.stringify(result),
      startedAt,
    ],
  })
}

/** The same between BEGIN and COMMIT on a connection of a pool. */
export async function deductAlone(pool: pg.Pool, id: string): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await deduct(client, id)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

interface Input {
  readonly token_id: string
  readonly amount: number
}

interface AccountRow {
  readonly id: string
  readonly balance: string
  readonly held: string
  readonly floor: string
  readonly entries: string
  readonly expires_at: Date
}

const available = ({ balance, held, floor }: AccountRow): bigint => BigInt(balance) - BigInt(held) - BigInt(floor)

const POST = `
  with posted as (
    insert into transfer (id, movement, operation_id, position, debit_id, debit_balance, debit_entry, credit_id, asset, amount, posted_at)
    values ($2, 'token.deduct', $1, 0, $3, $4, $5, $6, 'BUDGET', $7, $8)
  ), moved as (
    insert into account_delta (id, account_id, amount, entries) values ($9, $6, $7, 1)
  ), taken as (
    update account set balance = $4, entries = $5 where id = $3
  )
  update operation
  set status = 'succeeded', result = $10, attempts = attempts + 1, started_at = $11, finished_at = $8
  where id = $1`

const REFUSE = `
  update operation set status = 'failed', error = $2, attempts = attempts + 1, started_at = $3, finished_at = $4
  where id = $1`
