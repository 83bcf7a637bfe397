import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Dispatcher } from '../src/jobs/dispatch.ts'
import { insertFollowUps } from '../src/jobs/followup.ts'
import { newId } from '../src/kit/ids.ts'
import { inTransaction } from '../src/platform/database.ts'
import { Clockwork } from '../src/schedules/clockwork.ts'
import { schedules } from '../src/schedules/table.ts'
import { type Answer, Deployment, onBothBackends } from './support/deployment.ts'
import { emptyQueue } from './support/queue.ts'
import { OPERATOR } from './support/tokens.ts'

onBothBackends('The watch over the relay', (backend) => {
  let bursar: Deployment
  beforeAll(async () => {
    // Without its relay nobody brings anything back.
    bursar = await Deployment.start({ backend, relay: false, backoff: () => 3_600_000 })
  })
  afterAll(() => bursar.stop())
  afterEach(async () => {
    await bursar.pool.query('delete from operation; delete from schedule_run; delete from schedule_first_look')
    await emptyQueue(bursar)
  })

  /** What the clock asks for every minute. */
  async function watch(): Promise<Answer['body']> {
    const { foundation, clock, pool } = bursar
    const followUp = { id: newId(), kind: 'relay.watch', input: { period: clock.now().toISOString() } } as const
    const jobs = await inTransaction(pool, (sql) => insertFollowUps(sql, foundation.keyring, [followUp], clock.now()))
    await new Dispatcher(foundation.queues, foundation.log).send(jobs)
    const { status, result } = await bursar.settled(followUp.id, OPERATOR)
    expect(status).toBe('succeeded')
    return result
  }

  async function metric(name: string): Promise<number> {
    const { body } = await bursar.get('/metrics', OPERATOR)
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1])
  }

  /** Every schedule has its newest period. */
  async function scheduled(): Promise<void> {
    const clockwork = new Clockwork(schedules, {
      transaction: (work) => inTransaction(bursar.pool, work),
      keyring: bursar.foundation.keyring,
      clock: bursar.clock,
      dispatch: () => {},
      onError: (error) => expect.unreachable(String(error)),
    })
    for (const schedule of schedules) await clockwork.look(schedule)
    await bursar.pool.query('delete from operation')
  }

  /** An operation whose job was never sent. */
  async function forgotten(): Promise<string> {
    const id = newId()
    const followUp = { id, kind: 'ledger.tidy', input: { period: bursar.clock.now().toISOString() } } as const
    await inTransaction(bursar.pool, (sql) =>
      insertFollowUps(sql, bursar.foundation.keyring, [followUp], bursar.clock.now()),
    )
    return id
  }

  test('finds nothing where all is well, and says when it looked', async () => {
    await scheduled()
    expect(await watch()).toEqual({ open: 0, oldest_seconds: 0, stuck: 0, overdue: 0, schedules: [] })
    expect(await metric('bursar_relay_left_behind')).toBe(0)
    expect(await metric('bursar_schedules_overdue')).toBe(0)
    expect(await metric('bursar_relay_watched_timestamp_seconds')).toBeCloseTo(bursar.clock.now().getTime() / 1_000, -1)
  })

  test('finds what the queue does not know after a minute, and forgets it when it is done', async () => {
    await scheduled()
    const id = await forgotten()
    expect(await watch()).toMatchObject({ open: 0 })
    bursar.clock.advance({ seconds: 65 })
    const found = await watch()
    expect(found).toMatchObject({ open: 1, stuck: 0 })
    expect(found.oldest_seconds).toBeGreaterThanOrEqual(65)
    expect(await metric('bursar_relay_left_behind')).toBe(1)
    await bursar.pool.query(`update operation set status = 'stuck', error = '{}' where id = $1`, [id])
    expect(await watch()).toMatchObject({ open: 0, oldest_seconds: 0, stuck: 1 })
    expect(await metric('bursar_relay_left_behind')).toBe(0)
  })

  test('leaves alone what will be tried again, however late, and what others work for', async () => {
    await scheduled()
    const id = await forgotten()
    await bursar.pool.query(`update operation set job_id = 'waits' where id = $1`, [id])
    // The voice service is down: the next try is an hour away.
    const issuing = await bursar.ask('POST', '/token', { body: { budget: 1, voice_id: 'down_1' } })
    expect(issuing.status).toBe(202)
    const voiced = async () => {
      const { rows } = await bursar.pool.query('select attempts, status from operation where id = $1', [
        issuing.body.operation_id,
      ])
      return rows[0]
    }
    await expect.poll(voiced).toMatchObject({ attempts: 1 })
    bursar.clock.advance({ seconds: 600 })
    await goOn()
    expect(await watch()).toMatchObject({ open: 0 })
    await emptyQueue(bursar)
    expect(await watch()).toMatchObject({ open: 1 })
  })

  /** Schedules go on, and operations stay. */
  async function goOn(): Promise<void> {
    for (const { name } of schedules)
      await bursar.pool.query('insert into schedule_run values ($1, $2, $3, now()) on conflict do nothing', [
        name,
        bursar.clock.now(),
        newId(),
      ])
  }

  describe('knows of schedules', () => {
    test('that none is overdue before anybody could have looked, and which are when nobody looks', async () => {
      await scheduled()
      bursar.clock.advance({ seconds: 4 * 60 })
      expect(await watch()).toMatchObject({ overdue: 0 })
      bursar.clock.advance({ seconds: 3 * 60 })
      const { overdue, schedules: named } = await watch()
      expect(named).toEqual(expect.arrayContaining(['expire-tokens', 'follow-payments', 'watch-relay']))
      expect(named).not.toContain('invoice-month')
      expect(overdue).toBe(named.length)
      expect(await metric('bursar_schedules_overdue')).toBe(overdue)
    })

    test('that one which has missed many periods is well again once it has the newest', async () => {
      await scheduled()
      bursar.clock.advance({ seconds: 3 * 3_600 })
      expect((await watch()).overdue).toBeGreaterThan(0)
      await scheduled()
      expect(await watch()).toMatchObject({ overdue: 0, schedules: [] })
    })

    test('that a month which is over and not billed is overdue, and not before', async () => {
      await scheduled()
      const now = bursar.clock.now()
      const month = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)
      bursar.clock.advance({ seconds: (month - now.getTime()) / 1_000 + 240 })
      expect((await watch()).schedules).not.toContain('invoice-month')
      bursar.clock.advance({ seconds: 120 })
      expect((await watch()).schedules).toContain('invoice-month')
    })
  })
})
