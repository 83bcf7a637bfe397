import { afterAll, beforeAll, expect, test } from 'vitest'
import { newCredential } from '../src/kit/ids.ts'
import type { TestDatabase } from './support/database.ts'
import { Deployment, onBothBackends } from './support/deployment.ts'
import { Load } from './support/load.ts'
import { PostgresServer } from './support/postgres.ts'
import { BursarProcess } from './support/process.ts'

onBothBackends('A PostgreSQL that is away', (backend) => {
  let postgres: PostgresServer
  let database: TestDatabase
  let bursar: Deployment
  beforeAll(async () => {
    postgres = await PostgresServer.start()
    database = await postgres.database()
    bursar = await Deployment.start({ backend, database })
  })
  afterAll(async () => {
    await bursar.stop()
    await database.drop()
    await postgres.remove()
  })

  test('is told to everybody as 503, and nothing is promised', async () => {
    const token = await bursar.issue(100)
    const process = await BursarProcess.start(['api', 'worker', 'scheduler'], bursar.env)
    await postgres.stop()
    const asked = await Promise.all(
      Array.from({ length: 20 }, () => bursar.ask('POST', `/token/${token}/deduct`, { body: { amount: 1 } })),
    )
    for (const { status, headers, body } of asked) {
      expect(status).toBe(503)
      expect(headers.get('retry-after')).toBe('1')
      expect(body.code).toBe('intake.unavailable')
    }
    expect((await bursar.get(`/balance/${token}`)).status).toBe(503)
    expect((await bursar.get(`/api/v1/operations/${newCredential()}`)).status).toBe(503)
    expect((await bursar.get('/health')).body).toMatchObject({ status: 'unhealthy', dependencies: { database: false } })

    // A process that is told to stop does, and one that is started waits.
    expect(await process.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    const early = BursarProcess.start(['worker'], bursar.env)

    await postgres.startAgain()
    expect(await (await early).kill('SIGTERM')).toEqual({ code: 0, signal: null })
    expect(await bursar.balance(token)).toBe(100)
    expect(await bursar.statuses('token.deduct')).toEqual({})
    const { waiting, active, delayed } = await bursar.foundation.queues.depths('ledger')
    expect({ waiting, active, delayed }).toEqual({ waiting: 0, active: 0, delayed: 0 })
    expect((await bursar.deduct(token, 1)).status).toBe(200)
    expect(await bursar.balance(token)).toBe(99)
    await bursar.pool.query(`delete from operation where kind = 'token.deduct'`)
  })

  test('for a restart and after a kill -9, under load: every 202 ends, nothing is taken twice, and all go on by themselves', {
    timeout: 180_000,
  }, async () => {
    const load = await Load.on(bursar)
    const running = load.run(1_800)
    await load.reaches(400)
    await postgres.stop()
    await postgres.startAgain()
    await load.reaches(1_000)
    await postgres.kill()
    await postgres.startAgain()
    await running
    await load.expectEachDoneOnce()
    expect(load.accepted.size).toBe(1_800)
    // The door itself answered all the time.
    expect(load.comeBack[0]).toBe(undefined)
    expect((await bursar.deduct(load.tokens[0] ?? '', 1)).status).toBe(200)
  })
})
