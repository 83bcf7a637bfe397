import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isExpired } from '../src/domain/tokens/token.ts'
import { amount } from '../src/kit/money.ts'
import { Deployment, onBothBackends } from './support/deployment.ts'
import { issue as issueOnto, withBooks } from './support/ledger.ts'
import { moved, moveTo, sweep, tally } from './support/tokens.ts'

const HOUR = { seconds: 3_600 }

describe('A token’s hour', () => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start()
  })
  afterAll(() => bursar.stop())

  let voices = 0
  const issue = (budget: number) => bursar.issue(budget, `voice_${++voices}`)
  const report = async (token: string) => (await bursar.get(`/token/${token}/report`)).body
  const revoke = (token: string) => bursar.do('DELETE', `/token/${token}`)

  /** Starts these one after the other while the token's account is locked, so that each has read what it reads before its turn. */
  async function inLine<Result>(token: string, starts: readonly (() => Promise<Result>)[]): Promise<Result[]> {
    const holder = await bursar.pool.connect()
    try {
      await holder.query('begin')
      await holder.query('select from account where owner = $1 for no key update', [`token:${token}`])
      const started: Promise<Result>[] = []
      for (const start of starts) {
        started.push(start())
        await expect.poll(waiting, { timeout: 5_000 }).toBe(started.length)
      }
      await holder.query('commit')
      return await Promise.all(started)
    } finally {
      holder.release()
    }
  }

  async function waiting(): Promise<number> {
    const { rows } = await bursar.pool.query(
      `select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return rows[0].count
  }

  describe('when it is over', () => {
    test('is over at 3600 seconds, not a millisecond earlier', async () => {
      const token = await issue(10)
      const { rows } = await bursar.pool.query(
        `select extract(epoch from expires_at - issued_at)::float as seconds from token where id = $1`,
        [token],
      )
      expect(rows).toEqual([{ seconds: 3_600 }])

      const expiresAt = new Date('2026-11-20T13:00:00Z')
      expect(isExpired({ expiresAt }, new Date('2026-11-20T12:59:59.999Z'))).toBe(false)
      expect(isExpired({ expiresAt }, expiresAt)).toBe(true)
    })

    test('the token cannot be spent any more, swept or not', async () => {
      const token = await issue(100)
      await bursar.deduct(token, 30)
      const expiresAt = new Date((await report(token)).expires_at)

      moveTo(bursar.clock, new Date(expiresAt.getTime() - 10_000))
      expect(await bursar.balance(token)).toBe(70)
      expect((await bursar.deduct(token, 1)).status).toBe(200)

      moveTo(bursar.clock, expiresAt)
      for (const round of ['before the sweep', 'after it']) {
        for (const answer of [
          await bursar.get(`/balance/${token}`),
          await bursar.deduct(token, 1),
          await revoke(token),
        ]) {
          expect(answer.status, round).toBe(410)
          expect(answer.body).toMatchObject({
            error: 'TokenExpired',
            code: 'token.expired',
            detail: 'Token expired',
            message: 'Token expired',
          })
        }
        expect(await report(token)).toMatchObject({
          status: 'expired',
          remaining: 0,
          consumed: 31,
          transaction_count: 2,
        })
        expect((await bursar.get(`/token/${token}/transactions`)).body.transactions).toHaveLength(2)
        await sweep(bursar)
      }
    })

    test('the sweep gives back what is left, once', async () => {
      await sweep(bursar)
      const token = await issue(100)
      await bursar.deduct(token, 30)
      const spentToTheEnd = await issue(40)
      await bursar.deduct(spentToTheEnd, 40)
      const before = await moved(bursar, 'token.expire')
      expect(await sweep(bursar)).toEqual({ expired: 0, returned: 0 })

      bursar.clock.advance(HOUR)
      expect(await sweep(bursar)).toEqual({ expired: 2, returned: 70 })
      expect(await sweep(bursar)).toEqual({ expired: 0, returned: 0 })
      expect((await moved(bursar, 'token.expire')) - before).toBe(70)
      await bursar.expectCleanBooks()
    })

    test('two sweeps at once give it back once, and leave younger tokens alone', async () => {
      for (let old = 0; old < 5; old++) await issue(20)
      bursar.clock.advance(HOUR)
      const young = await issue(20)

      const both = await Promise.all([sweep(bursar), sweep(bursar)])
      expect(both.reduce((sum, { expired }) => sum + expired, 0)).toBe(5)
      expect(both.reduce((sum, { returned }) => sum + returned, 0)).toBe(100)
      expect(await bursar.balance(young)).toBe(20)
      await bursar.expectCleanBooks()
    })

    test('a sweep that waited for another finds its tokens swept', async () => {
      bursar.clock.advance(HOUR)
      await sweep(bursar)
      const token = await issue(20)
      bursar.clock.advance(HOUR)
      const both = await inLine(token, [() => sweep(bursar), () => sweep(bursar)])
      expect(both).toEqual([
        { expired: 1, returned: 20 },
        { expired: 0, returned: 0 },
      ])
      await bursar.expectCleanBooks()
    })

    test('more tokens than one sweep takes are swept one sweep after the other, without waiting for the next minute', async () => {
      bursar.clock.advance(HOUR)
      await sweep(bursar)
      const before = await bursar.statuses('token.sweep')
      await issueLongAgo(5_001)

      expect(await sweep(bursar)).toEqual({ expired: 5_000, returned: 5_000 })
      await expect
        .poll(() => bursar.statuses('token.sweep'), { timeout: 10_000 })
        .toEqual({
          succeeded: (before.succeeded ?? 0) + 2,
        })
      expect((await bursar.get('/health')).body.active_tokens).toBe(0)
      const { rows } = await bursar.pool.query(`select count(*)::int from token where status = 'active'`)
      expect(rows).toEqual([{ count: 0 }])
      await bursar.expectCleanBooks()
    })

    /** Tokens of 1 each whose hour was over before anybody looked. */
    async function issueLongAgo(count: number): Promise<void> {
      const issuedAt = new Date(bursar.clock.now().getTime() - 2 * 3_600_000)
      const accounts = await withBooks(
        bursar.pool,
        [],
        (books) =>
          Array.from({ length: count }, (_, number) => {
            const account = books.open({ owner: `token of long ago ${number}`, purpose: 'token', asset: 'BUDGET' })
            issueOnto(books, account.id, amount(1))
            return account.id
          }),
        { now: issuedAt },
      )
      await bursar.pool.query(
        `insert into token (id, operation_id, account_id, status, budget, voice_id, voice_digest, requested_at, issued_at, expires_at)
         select gen_random_uuid(), gen_random_uuid(), account, 'active', 1, '-', '-', $2, $2, $2::timestamptz + interval '1 hour'
         from unnest($1::uuid[]) as account`,
        [accounts, issuedAt],
      )
    }
  })

  describe('ends early when the token is revoked', () => {
    test('the rest of the budget goes back, and nothing can be spent any more', async () => {
      const token = await issue(100)
      await bursar.deduct(token, 35)
      const before = await moved(bursar, 'token.revoke')

      const { status, body } = await revoke(token)
      expect(status).toBe(200)
      expect(body).toEqual({ success: true, token_id: token, returned: 65 })
      expect((await moved(bursar, 'token.revoke')) - before).toBe(65)
      for (const answer of [
        await revoke(token),
        await bursar.deduct(token, 1),
        await bursar.get(`/balance/${token}`),
      ]) {
        expect(answer.status).toBe(410)
        expect(answer.body).toMatchObject({ error: 'TokenRevoked', code: 'token.revoked', detail: 'Token revoked' })
      }
      expect((await moved(bursar, 'token.revoke')) - before).toBe(65)
      expect(await report(token)).toMatchObject({ status: 'revoked', remaining: 0, consumed: 35, transaction_count: 1 })
      await bursar.expectCleanBooks()
    })

    test('a token that is spent to the end is revoked with nothing to return', async () => {
      const token = await issue(5)
      await bursar.deduct(token, 5)
      expect((await revoke(token)).body).toEqual({ success: true, token_id: token, returned: 0 })
    })

    test('revoking twice at once returns the rest once', async () => {
      const token = await issue(50)
      const answers = await Promise.all([revoke(token), revoke(token), revoke(token)])
      expect(tally(answers)).toEqual({ 200: 1, 410: 2 })
      await bursar.expectCleanBooks()
    })

    test('a deduction that waited while its token was revoked is refused, and one that came before is not', async () => {
      const token = await issue(50)
      const [before, revoked, after] = await inLine(token, [
        () => bursar.deduct(token, 1),
        () => revoke(token),
        () => bursar.deduct(token, 1),
      ])
      expect(before?.status).toBe(200)
      expect(revoked?.body.returned).toBe(49)
      expect(after?.body.code).toBe('token.revoked')
      await bursar.expectCleanBooks()
    })

    test('a revoked token stays revoked when its hour is over, whoever is asked', async () => {
      const token = await issue(50)
      await revoke(token)
      bursar.clock.advance(HOUR)
      expect(await sweep(bursar)).toMatchObject({ returned: 0 })
      expect((await bursar.get(`/balance/${token}`)).body.code).toBe('token.revoked')
      expect((await bursar.deduct(token, 1)).body.code).toBe('token.revoked')
      expect((await report(token)).status).toBe('revoked')
    })
  })
})

onBothBackends('Fifty deductions race the end of their token', (backend) => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ backend })
  })
  afterAll(() => bursar.stop())

  const BUDGET = 200
  const fifty = (token: string) => Array.from({ length: 50 }, () => bursar.deduct(token, 3))

  test('by a revocation: what was deducted and what was returned make the budget', async () => {
    const token = await bursar.issue(BUDGET)
    const racers = fifty(token)
    const revoked = bursar.do('DELETE', `/token/${token}`)
    const late = fifty(token).slice(0, 10)
    const answers = tally(await Promise.all([...racers, ...late]))

    expect((await revoked).status).toBe(200)
    const deducted = (answers[200] ?? 0) * 3
    expect(deducted + (await revoked).body.returned).toBe(BUDGET)
    expect((answers[200] ?? 0) + (answers[410] ?? 0)).toBe(60)
    expect((await bursar.get(`/token/${token}/report`)).body).toMatchObject({ consumed: deducted, remaining: 0 })
    await bursar.expectCleanBooks()
  })

  test('by its hour and two sweeps: each is decided one way, and the sum is the budget', async () => {
    const token = await bursar.issue(BUDGET)
    const before = await moved(bursar, 'token.expire')
    const racers = fifty(token)
    await Promise.any(racers)
    bursar.clock.advance(HOUR)
    const sweeps = await Promise.all([sweep(bursar), sweep(bursar)])
    const answers = tally([...(await Promise.all(racers)), await bursar.deduct(token, 3)])

    const deducted = (answers[200] ?? 0) * 3
    const returned = sweeps.reduce((sum, one) => sum + one.returned, 0)
    expect(deducted + returned).toBe(BUDGET)
    expect((await moved(bursar, 'token.expire')) - before).toBe(returned)
    expect((answers[200] ?? 0) + (answers[410] ?? 0)).toBe(51)
    await bursar.expectCleanBooks()
  })
})
