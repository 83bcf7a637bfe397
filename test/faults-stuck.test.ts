import { afterAll, beforeAll, expect, test } from 'vitest'
import { kinds } from '../src/jobs/catalogue.ts'
import { Fault } from '../src/kit/fault.ts'
import { newId } from '../src/kit/ids.ts'
import { processors } from '../src/processors/index.ts'
import type { Processor } from '../src/processors/shapes/processor.ts'
import { tokenRevoke } from '../src/processors/tokens/revoke.ts'
import { Deployment, onBothBackends } from './support/deployment.ts'

const OPERATOR = { as: 'operator_1', roles: ['operator'] } as const

onBothBackends('An operation that meets faults', (backend) => {
  let bursar: Deployment
  let faultsToCome = 0

  /** Revokes as ever, after so many faults. */
  const moody: Processor = {
    async run(context, ids) {
      if (faultsToCome > 0) {
        faultsToCome -= 1
        throw new Fault('The vault of the bank is being painted')
      }
      return tokenRevoke.run(context, ids)
    },
  }

  beforeAll(async () => {
    bursar = await Deployment.start({
      backend,
      processors: { ...processors, 'token.revoke': moody },
      backoff: () => 5,
    })
  })
  afterAll(() => bursar.stop())

  async function revoke(token: string): Promise<string> {
    const { status, body } = await bursar.ask('DELETE', `/token/${token}`)
    expect(status).toBe(202)
    return body.operation_id
  }

  const retry = (id: string) => bursar.do('POST', `/api/v1/operations/${id}/retry`, undefined, OPERATOR)

  const { attempts } = kinds['token.revoke'].retry

  test('is tried again until it is done, and its caller only waits', async () => {
    const token = await bursar.issue(100)
    faultsToCome = 4
    const { status, body } = await bursar.do('DELETE', `/token/${token}`)
    expect({ status, body }).toMatchObject({ status: 200, body: { success: true, returned: 100 } })
    const { rows } = await bursar.pool.query(`select attempts from operation where kind = 'token.revoke'`)
    expect(rows).toEqual([{ attempts: 5 }])
  })

  test('is stuck when its tries run out, says so, and is done once an operator has retried it', async () => {
    const token = await bursar.issue(100)
    faultsToCome = attempts
    const id = await revoke(token)
    const stuck = await bursar.settled(id)
    expect(stuck).toMatchObject({ status: 'stuck', attempts, finished_at: null, result: null })
    expect(stuck.error).toMatchObject({ error: 'OperationStuck', code: 'operation.stuck', http_status: 503 })
    expect(stuck.error.message).toContain('waits for an operator: The vault of the bank is being painted')
    expect(bursar.logged.filter((line) => line.includes('"level":"error"') && line.includes(id))).toHaveLength(1)
    expect(await bursar.balance(token)).toBe(100)

    expect(await retry(id)).toMatchObject({ status: 200, body: { requeued: [id] } })
    expect(await bursar.settled(id)).toMatchObject({ status: 'succeeded', attempts: 1, error: null })
    expect(await bursar.transfers('token.revoke')).toBe(2)
  })

  test('is retried by one of the operators who ask for it at the same time', async () => {
    faultsToCome = attempts
    const id = await revoke(await bursar.issue(100))
    await bursar.settled(id)
    const before = await bursar.transfers('token.revoke')
    const answers = await Promise.all([1, 2, 3].map(() => retry(id)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409])
    expect((await bursar.settled(id)).status).toBe('succeeded')
    expect(await bursar.transfers('token.revoke')).toBe(before + 1)
  })

  test('can have its tries run out again, and be retried again', async () => {
    faultsToCome = 2 * attempts
    const id = await revoke(await bursar.issue(100))
    expect((await bursar.settled(id)).status).toBe('stuck')
    await retry(id)
    expect(await bursar.settled(id)).toMatchObject({ status: 'stuck', attempts })
    await retry(id)
    expect(await bursar.settled(id)).toMatchObject({ status: 'succeeded', attempts: 1 })
  })

  test('is not retried when it is not stuck, or not there', async () => {
    const { headers } = await bursar.do('DELETE', `/token/${await bursar.issue(100)}`)
    const done = await retry(headers.get('operation-id') ?? '')
    expect(done).toMatchObject({ status: 409, body: { code: 'operation.notStuck' } })
    expect(await retry(newId())).toMatchObject({ status: 404, body: { code: 'operation.notFound' } })
    expect(await retry('nonsense')).toMatchObject({ status: 404, body: { code: 'operation.notFound' } })
  })

  test('that no retry can mend is stuck alone: 299 others that came with it are done as ever', async () => {
    const { pool } = bursar
    await pool.query(`
      create function refuse_poison() returns trigger language plpgsql as $$
      begin raise exception 'memo is poison' using errcode = 'check_violation'; end $$;
      create trigger refuse_poison before insert on transfer for each row when (new.memo = 'poison')
      execute function refuse_poison()`)
    const token = await bursar.issue(500)
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, n) =>
        bursar.do('POST', `/token/${token}/deduct`, { amount: 1, description: n === 150 ? 'poison' : 'food' }),
      ),
    )
    const [poisoned, ...others] = answers.filter(({ status }) => status !== 200)
    expect(others).toEqual([])
    expect(poisoned).toMatchObject({ status: 202, body: { status: 'stuck' } })
    expect(await bursar.balance(token)).toBe(500 - 299)
    const id = poisoned?.body.operation_id
    expect((await bursar.settled(id)).error.message).toContain('memo is poison')
    expect(bursar.logged.filter((line) => line.includes('"level":"error"') && line.includes(id))).toHaveLength(1)

    await pool.query('drop trigger refuse_poison on transfer; drop function refuse_poison')
    expect((await retry(id)).status).toBe(200)
    expect(await bursar.settled(id)).toMatchObject({ status: 'succeeded', result: { remaining: 500 - 300 } })
  })

  test('leaves the books in order', () => bursar.expectCleanBooks())
})
