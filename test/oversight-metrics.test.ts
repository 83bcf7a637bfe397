import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeMetrics } from '../src/platform/metrics.ts'
import { Deployment, onBothBackends } from './support/deployment.ts'

interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Prometheus' text format, by metric and sample. */
function read(text: string) {
  const types = new Map<string, string>()
  const samples = new Map<string, Sample[]>()
  for (const line of text.split('\n')) {
    const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? []
    if (name !== undefined && type !== undefined) types.set(name, type)
    const [, sample, labels = '', value] = /^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/i.exec(line) ?? []
    if (sample === undefined || line.startsWith('#')) continue
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', text = '']) => [label, text])
    samples.set(sample, [...(samples.get(sample) ?? []), { labels: Object.fromEntries(pairs), value: Number(value) }])
  }
  const find = (name: string, labels: Record<string, string>) =>
    (samples.get(name) ?? []).filter((sample) =>
      Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
    )
  return {
    type: (name: string) => types.get(name),
    labels: (name: string) => Object.keys(samples.get(name)?.[0]?.labels ?? {}).toSorted(),
    /** The sum over everything that has these labels; undefined where there is nothing. */
    value(name: string, labels: Record<string, string> = {}): number | undefined {
      const found = find(name, labels)
      return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
    },
  }
}

onBothBackends('The metrics', (backend) => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ backend })
  })
  afterAll(() => bursar.stop())

  async function metrics() {
    const { status, headers, body } = await bursar.get('/metrics', { as: 'olga', roles: ['operator'] })
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    return read(body)
  }

  test('have the seed’s names, with its types, labels and buckets', async () => {
    await bursar.deduct(await bursar.issue(100, 'voice_seed'), 30)
    const { type, labels, value } = await metrics()
    expect(type('payment_tokens_created_total')).toBe('counter')
    expect(labels('payment_tokens_created_total')).toEqual(['voice_id_hash'])
    expect(type('budget_consumption_amount')).toBe('histogram')
    for (const le of ['1', '5', '10', '25', '50', '100', '250', '500', '+Inf'])
      expect(value('budget_consumption_amount_bucket', { le })).toBeDefined()
    expect(type('active_payment_tokens')).toBe('gauge')
  })

  test('have ours beside them', async () => {
    const { type } = await metrics()
    expect(
      Object.fromEntries(
        [
          'bursar_queue_jobs',
          'bursar_operation_seconds',
          'bursar_operations_total',
          'bursar_gateway_seconds',
          'bursar_ledger_findings',
          'bursar_ledger_checked_timestamp_seconds',
          'bursar_open_operations',
          'bursar_oldest_open_operation_seconds',
          'bursar_intake_waiting',
          'bursar_http_request_seconds',
          'bursar_relay_redispatched_total',
          'process_cpu_seconds_total',
        ].map((name) => [name, type(name)]),
      ),
    ).toMatchInlineSnapshot(`
      {
        "bursar_gateway_seconds": "histogram",
        "bursar_http_request_seconds": "histogram",
        "bursar_intake_waiting": "gauge",
        "bursar_ledger_checked_timestamp_seconds": "gauge",
        "bursar_ledger_findings": "gauge",
        "bursar_oldest_open_operation_seconds": "gauge",
        "bursar_open_operations": "gauge",
        "bursar_operation_seconds": "histogram",
        "bursar_operations_total": "counter",
        "bursar_queue_jobs": "gauge",
        "bursar_relay_redispatched_total": "counter",
        "process_cpu_seconds_total": "counter",
      }
    `)
  })

  test('move when things happen', async () => {
    const before = await metrics()
    const token = await bursar.issue(100, 'voice_moves')
    await bursar.deduct(token, 30)
    await bursar.deduct(token, 5)
    await bursar.deduct(token, 500)
    await bursar.do('POST', '/token', { budget: 1, voice_id: 'reject_me' })
    await bursar.do('DELETE', `/token/${await bursar.issue(1, 'voice_moves')}`)
    const after = await metrics()

    const moved = (name: string, labels: Record<string, string> = {}) =>
      (after.value(name, labels) ?? 0) - (before.value(name, labels) ?? 0)
    expect(moved('payment_tokens_created_total')).toBe(2)
    expect(moved('active_payment_tokens')).toBe(1)
    expect(moved('budget_consumption_amount_count')).toBe(2)
    expect(moved('budget_consumption_amount_sum')).toBe(35)
    expect(moved('budget_consumption_amount_bucket', { le: '10' })).toBe(1)
    expect(moved('bursar_operations_total', { kind: 'token.deduct', status: 'succeeded' })).toBe(2)
    expect(moved('bursar_operations_total', { status: 'failed', code: 'token.insufficient' })).toBe(1)
    expect(moved('bursar_operations_total', { status: 'failed', code: 'token.voiceRejected' })).toBe(1)
    expect(moved('bursar_operation_seconds_count', { kind: 'token.deduct' })).toBe(3)
    expect(moved('bursar_gateway_seconds_count', { gateway: 'voice', call: 'verify', outcome: 'answered' })).toBe(3)
    expect(moved('bursar_http_request_seconds_count', { route: '/token/{token_id}/deduct', status: '200' })).toBe(2)
    expect(moved('bursar_http_request_seconds_count', { route: '/token/{token_id}/deduct', status: '400' })).toBe(1)
    expect(after.value('bursar_queue_jobs', { queue: 'ledger', state: 'completed' })).toBeGreaterThan(0)
  })

  test('say how the books stood when they were last checked, and nothing before that', async () => {
    expect((await metrics()).value('bursar_ledger_findings')).toBeUndefined()
    expect((await metrics()).value('bursar_ledger_checked_timestamp_seconds')).toBeUndefined()

    const at = new Date('2026-11-20T12:00:00Z')
    const check = `insert into ledger_check (id, checked_at, took_ms, findings) values (gen_random_uuid(), $1, 5, $2)`
    await bursar.pool.query(check, [at, JSON.stringify([{ what: 'balance' }, { what: 'sum' }])])
    const { value } = await metrics()
    expect(value('bursar_ledger_findings')).toBe(2)
    expect(value('bursar_ledger_checked_timestamp_seconds')).toBe(at.getTime() / 1_000)
  })

  test('tell of nobody: no voice, no token, no address, no text of a request', async () => {
    const token = await bursar.issue(10, 'voice_of_the_president')
    await bursar.do('POST', `/token/${token}/deduct`, { amount: 1, description: 'for a secret dinner' })
    await bursar.get(`/balance/${token}`)
    await bursar.get(`/nowhere/${token}`)
    const { body } = await bursar.get('/metrics', { as: 'olga', roles: ['operator'] })
    for (const secret of ['voice_of_the_president', token, 'secret dinner', '127.0.0.1'])
      expect(body).not.toContain(secret)
  })

  test('count work that waits, and how long', async () => {
    await bursar.workers?.stop()
    await bursar.ask('POST', '/token', { body: { budget: 1, voice_id: 'voice_waits' } })
    bursar.clock.advance({ seconds: 120 })
    const { value } = await metrics()
    expect(value('bursar_open_operations', { status: 'open' })).toBe(1)
    expect(value('bursar_oldest_open_operation_seconds', { status: 'open' })).toBeGreaterThanOrEqual(120)
    expect(value('bursar_open_operations', { status: 'stuck' })).toBe(0)
    await expect
      .poll(async () => (await metrics()).value('bursar_queue_jobs', { queue: 'gateways', state: 'waiting' }))
      .toBe(1)
    await bursar.startWorkers()
    await bursar.quiet()
  })
})

describe('A question that fails', () => {
  test('leaves its metric out of that reading, and the others in', async () => {
    const { registry, askWhenRead } = makeMetrics()
    expect(registry).toBeInstanceOf(Registry)
    let away = false
    const ask = async <Answer>(answer: Answer): Promise<Answer> => {
      if (away) throw new Error('The database is away')
      return answer
    }
    askWhenRead({
      tokensInUse: () => ask({ active: 7 }),
      depths: () => ask({ ledger: { waiting: 3 } }),
      ledgerCheck: () => ask({ findings: 0, checkedAt: new Date() }),
      openOperations: () => ask([{ status: 'open', count: 2, oldestSeconds: 5 }]),
      relayWatch: () => ask({ leftBehind: 8, overdue: 9, watchedAt: new Date() }),
      intakeWaiting: () => 4,
      database: () => ask(true),
      circuits: () => [{ gateway: 'stripe', state: 'open', openings: 3 }],
      paymentsInReview: () => ask(1),
      parkedWebhooks: () => ask([{ gateway: 'stripe', parked: 2 }]),
      clearing: () =>
        ask([{ purpose: 'suspense', currency: 'INR', balance: 500n, unexplained: 0n, oldestSeconds: 90 }]),
      reconciliations: () => ask([{ gateway: 'stripe', forPerson: 1, finishedAt: new Date() }]),
      securityEvents: () => ask([{ type: 'webhook_forged', count: 6 }]),
    })
    const there = read(await registry.metrics())
    expect(there.value('active_payment_tokens')).toBe(7)
    expect(there.value('bursar_ledger_findings')).toBe(0)
    expect(there.value('bursar_oldest_open_operation_seconds')).toBe(5)
    expect(there.value('bursar_relay_left_behind')).toBe(8)
    expect(there.value('bursar_schedules_overdue')).toBe(9)
    expect(there.value('bursar_database_up')).toBe(1)
    expect(there.value('bursar_gateway_circuit_state', { state: 'open' })).toBe(1)
    expect(there.value('bursar_gateway_circuit_state', { state: 'closed' })).toBe(0)
    for (const again of [there, read(await registry.metrics())]) {
      expect(again.value('bursar_gateway_circuit_openings_total')).toBe(3)
      expect(again.value('bursar_security_events_total')).toBe(6)
    }

    away = true
    const gone = read(await registry.metrics())
    for (const name of [
      'active_payment_tokens',
      'bursar_queue_jobs',
      'bursar_ledger_findings',
      'bursar_open_operations',
      'bursar_payments_in_review',
      'bursar_clearing_balance',
      'bursar_security_events_total',
    ])
      expect(gone.value(name)).toBeUndefined()
    expect(gone.value('bursar_intake_waiting')).toBe(4)
    expect(gone.value('bursar_database_up')).toBe(0)
  })

  test('voices without number are one label', async () => {
    const { registry, tokenIssued } = makeMetrics()
    for (let n = 0; n < 1_500; n++) tokenIssued(n.toString(16).padStart(8, '0'))
    const { value } = read(await registry.metrics())
    expect(value('payment_tokens_created_total', { voice_id_hash: 'other' })).toBe(500)
  })
})
