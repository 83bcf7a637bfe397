import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { inTransaction } from '../src/platform/database.ts'
import { Deployment, onBothBackends } from './support/deployment.ts'
import { Load } from './support/load.ts'
import { freePort } from './support/port.ts'
import { BursarProcess } from './support/process.ts'

// Both at once: a killed worker is missed only after ten seconds, and the waiting costs nobody anything.
describe.concurrent('Killing', () => {
  onBothBackends('Processes that are killed', (backend) => {
    let bursar: Deployment
    beforeAll(async () => {
      bursar = await Deployment.start({ backend })
    })
    afterAll(() => bursar.stop())

    /** Workers hold these operations now: they wait for an account that this test has locked. */
    async function inTheMiddleOfABatch(token: string, work: () => Promise<unknown>): Promise<void> {
      await inTransaction(bursar.pool, async (sql) => {
        await sql.query('select from account join token on account_id = account.id where token.id = $1 for update', [
          token,
        ])
        const blocked = async () => {
          const { rows } = await bursar.pool.query(
            `select from pg_stat_activity
           where datname = current_database() and application_name = 'bursar worker' and wait_event_type = 'Lock'`,
          )
          expect(rows.length).toBeGreaterThan(0)
        }
        await vi.waitFor(blocked, { timeout: 10_000, interval: 5 })
        await work()
      })
    }

    test('workers in the middle of a batch and an API under load: every 202 ends, and nothing is taken twice', {
      timeout: 180_000,
    }, async () => {
      const port = await freePort()
      const api = () => BursarProcess.start(['api'], { ...bursar.env, PORT: String(port) })
      const worker = () => BursarProcess.start(['worker'], bursar.env)
      const load = await Load.on(bursar, { doors: [`http://127.0.0.1:${port}`, bursar.door.url] })
      await bursar.workers?.stop()
      bursar.workers = undefined
      let [door, first, second] = await Promise.all([api(), worker(), worker()])

      const running = load.run(2_000)
      await load.reaches(200)
      await inTheMiddleOfABatch(load.tokens[0] ?? '', () => first.kill())
      await load.reaches(500)
      await door.kill()
      await inTheMiddleOfABatch(load.tokens[1] ?? '', () => second.kill())
      // Nobody works now, and what comes in is still accepted.
      await load.reaches(800)
      ;[door, first, second] = await Promise.all([api(), worker(), worker()])
      await load.reaches(1_200)
      await inTheMiddleOfABatch(load.tokens[2] ?? '', () => Promise.all([first.kill(), second.kill(), door.kill()]))
      first = await worker()
      await running

      await load.expectEachDoneOnce()
      expect(load.accepted.size).toBe(2_000)
      expect(await first.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    })
  })
})
