import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Answer, onBothBackends } from './support/deployment.ts'
import { OPERATOR } from './support/tokens.ts'
import { funded, purse, refund, setKyc, withdraw } from './support/wallet-moves.ts'
import { Wallets } from './support/wallets.ts'

onBothBackends('Movements of one user, two hundred of them at once', (backend) => {
  let wallets: Wallets
  beforeAll(async () => {
    wallets = await Wallets.start({ backend })
  })
  afterAll(() => wallets.stop())

  /** Milliseconds: what happens to one user happens one after the other, and machines that are busy take their time. */
  const PATIENCE = { timeout: 120_000 }

  /** What came of a request, also when it took longer than its caller waited. */
  async function outcome(asked: Promise<Answer>): Promise<{ status: number; body: Answer['body'] }> {
    const { status, body } = await asked
    if (status !== 202) return { status, body }
    const { result, error } = await wallets.bursar.settled(body.operation_id, OPERATOR)
    return error === null ? { status: 200, body: result } : { status: error.http_status, body: error }
  }

  const tally = (answers: readonly { status: number; body: Answer['body'] }[]): Record<string, number> =>
    Object.fromEntries(
      [...Map.groupBy(answers, ({ status, body }) => body.code ?? `${status} ${body.status}`)].map(([what, all]) => [
        what,
        all.length,
      ]),
    )

  /** The lowest that a user's wallet ever was, minor units. */
  async function lowest(user: string): Promise<number> {
    const { rows } = await wallets.bursar.pool.query(
      `select min(each.balance)::int as lowest from account, lateral (
         select debit_balance as balance from transfer where debit_id = account.id
         union all select credit_balance from transfer where credit_id = account.id
       ) each where owner = $1 and purpose = 'wallet'`,
      [`user:${user}`],
    )
    return rows[0].lowest
  }

  /** How many of a user's movements have not ended yet. */
  async function open(user: string): Promise<number> {
    const { rows } = await wallets.bursar.pool.query(
      'select count(*)::int as open from payment where user_id = $1 and completed_at is null',
      [user],
    )
    return rows[0].open
  }

  /** Deposits and withdrawals in turn, all on their way before the first is answered. */
  const storm = (length: number, deposit: () => Promise<Answer>, withdrawal: () => Promise<Answer>) =>
    Promise.all(Array.from({ length }, (_, nth) => outcome(nth % 2 === 0 ? deposit() : withdrawal())))

  test('never pass a limit', PATIENCE, async () => {
    const user = await funded(wallets, 5_000)
    await setKyc(wallets, user, { level: 'BASIC' })
    const account = await wallets.addMethod(user, 'mock', 'mock_account', 'BANK_TRANSFER')
    // Their answers say it all.
    await wallets.mock.webhooks({ mode: 'drop' })
    const answers = await storm(
      200,
      () => wallets.deposit(user, { amount: 100, gateway: 'mock' }),
      () => withdraw(wallets, user, { amount: 100, payment_method_id: account }),
    )
    // Half of the day's ten thousand was left, and is used to the last hundred.
    expect(tally(answers)).toEqual({ '200 COMPLETED': 50, PAY_005: 150 })
    expect(await wallets.balance(user)).toMatchObject({ daily_used: '10000.00', daily_remaining: '0.00' })
    const types = Map.groupBy(await wallets.transactions(user), ({ type }) => type)
    const moved = (type: string) => types.get(type)?.length ?? 0
    expect(moved('DEPOSIT') + moved('WITHDRAWAL')).toBe(51)
    expect((await purse(wallets, user)).balance).toBe(
      `${5_000 + 100 * (moved('DEPOSIT') - 1) - 100 * moved('WITHDRAWAL')}.00`,
    )
    await wallets.expectAllInOrder()
  })

  test('never pass a balance, whatever becomes of them', PATIENCE, async () => {
    const user = await funded(wallets, 1_000)
    const pick = <Item>(items: readonly Item[]) => {
      let next = 0
      return () => items[next++ % items.length] as Item
    }
    const cards = pick(
      await Promise.all(
        ['mock_card', 'mock_decline', 'mock_pending', 'mock_late_failure'].map((token) =>
          wallets.addMethod(user, 'mock', token),
        ),
      ),
    )
    const accounts = pick(
      await Promise.all(
        ['mock_account', 'mock_payout_pending', 'mock_payout_fail', 'mock_payout_returned'].map((token) =>
          wallets.addMethod(user, 'mock', token, 'BANK_TRANSFER'),
        ),
      ),
    )
    await wallets.mock.webhooks({ mode: 'send' })
    const answers = await storm(
      120,
      () => wallets.deposit(user, { amount: 30, payment_method_id: cards() }),
      () => withdraw(wallets, user, { amount: 90, payment_method_id: accounts() }),
    )
    const counts = tally(answers)
    // A quarter of the deposits is declined; of the withdrawals more are asked for than the wallet ever holds.
    expect(counts).toMatchObject({ '200 COMPLETED': expect.any(Number), '200 PENDING': expect.any(Number) })
    expect(counts.PAY_002).toBeGreaterThan(0)
    expect(Object.keys(counts).toSorted()).toEqual(['200 COMPLETED', '200 PENDING', 'PAY_002', 'PAY_004'])

    await wallets.mock.pass(60)
    await expect.poll(() => open(user), { timeout: 60_000, interval: 100 }).toBe(0)
    await expect.poll(() => wallets.expectAllInOrder().then(() => 'in order'), { timeout: 30_000 }).toBe('in order')
    const { charges, payouts } = await wallets.mock.done()
    const { rows } = await wallets.bursar.pool.query(
      `select gateway_attempt.id from gateway_attempt join payment on payment.id = payment_id where user_id = $1`,
      [user],
    )
    const own = new Set(rows.map(({ id }) => id))
    const sum = (all: readonly { reference: string; status: string; amount: number }[], status: string) =>
      all
        .filter((one) => own.has(one.reference) && one.status === status)
        .reduce((total, { amount }) => total + amount, 0)
    const left = sum(charges, 'captured') - sum(payouts, 'paid')
    expect(await purse(wallets, user)).toEqual({
      balance: (left / 100).toFixed(2),
      locked: '0.00',
      available: (left / 100).toFixed(2),
    })
    expect(await lowest(user)).toBeGreaterThanOrEqual(0)
    expect((await wallets.balance(user)).daily_used).toBe(
      ((sum(charges, 'captured') + sum(payouts, 'paid')) / 100).toFixed(2),
    )
  })

  test('refunds, withdrawals and disputes of the same money at once move it once', async () => {
    const user = await funded(wallets, 100)
    const [deposit] = await wallets.transactions(user, 'DEPOSIT')
    const account = await wallets.addMethod(user, 'mock', 'mock_account', 'BANK_TRANSFER')
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, () => outcome(refund(wallets, deposit.id, { amount: 60 }))),
      ...Array.from({ length: 10 }, () => outcome(withdraw(wallets, user, { amount: 60, payment_method_id: account }))),
    ])
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect((await purse(wallets, user)).available).toBe('40.00')
    await wallets.expectAllInOrder()
  })
})
