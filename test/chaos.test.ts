import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { auditAll } from '../chaos/audit.ts'
import { campaign } from '../chaos/campaign.ts'
import { Client } from '../chaos/client.ts'
import { type Backend, backends, GATEWAY_KEYS } from '../chaos/deployment.ts'
import type { Finding } from '../chaos/finding.ts'
import { askGateway, gateways } from '../chaos/gateways.ts'
import { Billing } from '../chaos/loads/billing.ts'
import { Tokens } from '../chaos/loads/tokens.ts'
import { Wallets } from '../chaos/loads/wallets.ts'
import { Misuse, readOptions } from '../chaos/options.ts'
import { Dice } from '../chaos/random.ts'
import { Records } from '../chaos/records.ts'
import { table } from '../chaos/report.ts'
import { planFaults } from '../chaos/schedule.ts'
import { askForUpkeep } from '../chaos/upkeep.ts'
import { QUEUE_SCHEMA } from '../src/commands/migrate.ts'
import { newId } from '../src/kit/ids.ts'
import { type Sandbox, startSandbox } from '../src/sandbox/server.ts'
import { Deployment } from './support/deployment.ts'

const FAULTS = 5

/** Any would do; in this one nothing lasts long, a worker and PostgreSQL are killed, and a gateway does what it says it did not. */
const SEED = 34

// One queue; `npm run chaos` runs on each of them, and `faults-*.test.ts` kill everything on both.
const backend = inject('hasRedis') ? 'redis' : 'postgres'

test(`A short chaos run with the queue on ${backend}: nothing is lost, nothing is done twice, nobody is told wrong`, {
  timeout: 240_000,
}, async () => {
  const told: string[] = []
  const report = await campaign({
    backend,
    seed: SEED,
    faults: FAULTS,
    clients: 8,
    rate: 40,
    pace: 0.5,
    progress: (line) => void told.push(line),
  })
  expect(report.findings, table(report).join('\n')).toEqual([])
  expect(report.faults).toHaveLength(FAULTS)
  expect(report.faults.flatMap(({ missed }) => missed ?? [])).toEqual([])
  for (const kind of ['token.issue', 'token.deduct', 'deposit.initiate']) {
    const { asked = 0, succeeded = 0, refused = 0 } = report.kinds[kind] ?? {}
    expect(succeeded + refused).toBe(asked)
    expect(succeeded).toBeGreaterThan(10)
  }
  expect(report.figures.webhookEvents).toBeGreaterThan(10)
  expect(report.figures.monthsBilled).toBeGreaterThan(10)
  expect(told.at(-1)).toContain(`${FAULTS}/${FAULTS} faults`)
})

describe('The faults of a run', () => {
  test.each(backends)('on %s depend on the seed alone', (backend: Backend) => {
    const plan = (seed: number) => planFaults(new Dice(seed), { backend, count: 50, pace: 1 })
    expect(plan(7)).toEqual(plan(7))
    expect(plan(7)).not.toEqual(plan(8))
  })

  test('are of every kind that the deployment can have', () => {
    const kinds = (backend: Backend) =>
      new Set(planFaults(new Dice(1), { backend, count: 1_000, pace: 1 }).map(({ fault }) => fault))
    expect(kinds('redis')).toContain('kill redis')
    expect(kinds('postgres')).not.toContain('kill redis')
    expect(kinds('cluster')).toContain('kill cluster master')
    expect(kinds('redis').size).toBeGreaterThan(18)
  })
})

describe('npm run chaos', () => {
  test('understands what the README shows', () => {
    expect(readOptions(['--faults', '300', '--seed', '7', '--backend', 'redis'])).toMatchObject({
      faults: 300,
      seed: 7,
      backends: ['redis'],
    })
    expect(readOptions(['--help'])).toBe('help')
    expect(readOptions([])).toMatchObject({ faults: 300, backends: ['redis', 'postgres'] })
  })

  test.each([
    ['--faults', 'many'],
    ['--faults', '-1'],
    ['--seed', '1.5'],
    ['--backend', 'kafka'],
    ['--rate', '0'],
    ['--speed', '9'],
    ['300'],
  ])('says what is wrong with %s %s', (...words: string[]) => {
    expect(() => readOptions(words)).toThrow(Misuse)
  })
})

describe('The audit', { timeout: 90_000 }, () => {
  let bursar: Deployment
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await startSandbox({})
    bursar = await Deployment.start({
      env: {
        SANDBOX: 'false',
        VOICE_SERVICE_URL: sandbox.voiceUrl,
        VAULT_URL: sandbox.vaultUrl,
        VAULT_TOKEN: 'sandbox',
        FRAUD_RULES: 'observe',
        ...GATEWAY_KEYS,
        ...Object.fromEntries(
          gateways.map((name) => [`${name.toUpperCase()}_API_BASE`, sandbox.gateways[name].apiBase]),
        ),
      },
    })
    sandbox.sendWebhooksTo(`${bursar.door.url}/webhooks`)
  })
  afterAll(async () => {
    await bursar.stop()
    await sandbox.stop()
  })

  /** A little honest work, and what its clients were told. What an earlier test has tampered with is forgotten first. */
  async function work(): Promise<{ records: Records; load: Tokens }> {
    await tamper(`delete from operation; delete from idempotency_key; delete from voice_allowance; delete from token;
      delete from schedule_run; delete from transfer; delete from hold; delete from payment; delete from gateway_attempt;
      delete from dispute; delete from limit_use; delete from webhook; delete from payment_method; delete from account_delta; delete from account where floor is not null;
      update account set balance = 0, entries = 0`)
    const records = new Records()
    const client = new Client({ doors: [bursar.door.url], records, dice: new Dice(1) })
    const load = new Tokens()
    await load.setUp(client)
    for (let n = 0; n < 25; n++) await load.step(client)
    await bursar.quiet()
    return { records, load }
  }

  /** As somebody does who has the rights of a superuser: without the triggers that guard the books. */
  async function tamper(sql: string): Promise<void> {
    await bursar.pool.query(`begin; set local session_replication_role = replica; ${sql}; commit`)
  }

  const audited = () => ({
    pool: bursar.pool,
    queueStore: { postgresUrl: bursar.database.url, schema: QUEUE_SCHEMA },
    roles: new Map<string, never>(),
  })

  async function audit({ records, load }: { records: Records; load: Tokens }): Promise<readonly Finding[]> {
    const general = await auditAll(audited(), records.all)
    const own = await load.audit({ pool: bursar.pool, told: records.all, sandbox })
    return [...records.findings, ...general.findings, ...own.findings]
  }

  const sorts = (findings: readonly Finding[]) => [...new Set(findings.map(({ sort }) => sort))].toSorted()

  test('finds nothing where nothing is wrong', async () => {
    expect(await audit(await work())).toEqual([])
  })

  test('finds what was accepted and is gone', async () => {
    const worked = await work()
    const [told] = worked.records.all.filter(({ kind }) => kind === 'token.deduct')
    await tamper(`delete from operation where id = '${told?.operationId}'`)
    expect(sorts(await audit(worked))).toContain('lost')
  })

  test('finds what was done beside what was asked for', async () => {
    const worked = await work()
    await bursar.do('POST', '/token', { voice_id: 'limits_9_9_9_besides', budget: 1 })
    const findings = await audit(worked)
    expect(sorts(findings)).toContain('doubled')
    expect(findings.map(({ says }) => says).join('\n')).toMatch(/token.issue .* was done beside what was asked for/)
  })

  test('finds what has no outcome', async () => {
    const worked = await work()
    await tamper(
      `insert into operation (id, kind, job_id, input, submitted_by, submitted_at) values ('${newId()}', 'gone.kind', 'x', '{}', ' bursar', now())`,
    )
    expect(await audit(worked)).toEqual([{ sort: 'open', says: expect.stringContaining('is still queued') }])
  })

  test('finds a caller who was told something else than the books say', async () => {
    const worked = await work()
    await tamper(
      `update operation set status = 'failed', result = null, error = '{"code":"token.expired"}'
       where id = (select id from operation where kind = 'token.deduct' and status = 'succeeded' order by id limit 1)`,
    )
    expect(sorts(await audit(worked))).toContain('told')
  })

  test('finds money that moved twice, and money that did not move', async () => {
    const worked = await work()
    await tamper(
      `insert into transfer select gen_random_uuid(), movement, operation_id, 7, debit_id, credit_id, asset, amount,
         debit_balance, debit_entry + 1000, credit_balance, credit_entry, memo, posted_at
       from transfer where movement = 'token.deduct' limit 1`,
    )
    expect(sorts(await audit(worked))).toEqual(expect.arrayContaining(['books', 'doubled']))
    await tamper('delete from transfer')
    expect(sorts(await audit(worked))).toEqual(expect.arrayContaining(['books', 'lost']))
  })

  test('finds a balance that is not what its callers were told', async () => {
    const worked = await work()
    await tamper('update account set balance = balance + 1 where floor is not null and not closed')
    const findings = await audit(worked)
    expect(findings.map(({ says }) => says).join('\n')).toMatch(/by what its callers were told it is/)
  })

  describe('of wallets', () => {
    let records: Records
    let wallets: Wallets
    beforeAll(async () => {
      records = new Records()
      const client = new Client({ doors: [bursar.door.url], records, dice: new Dice(2) })
      wallets = new Wallets(sandbox)
      await wallets.setUp(client)
      for (let n = 0; n < 40; n++) await wallets.step(client)
      await bursar.quiet()
      for (let open = 1; open > 0; ) {
        open = await wallets.passTime({ pool: bursar.pool })
        await askForUpkeep(audited(), ['payment.follow', 'webhook.unpark'])
        await bursar.quiet()
      }
    })
    const found = async () =>
      (await wallets.audit({ pool: bursar.pool, told: records.all, sandbox })).findings.map(
        ({ sort, says }) => `${sort}: ${says}`,
      )

    test('finds nothing where nothing is wrong', async () => {
      expect(await found()).toEqual([])
    })

    const deposit = `(select id from payment where type = 'deposit' and status = 'completed' order by id limit 1)`
    const charge = `(select id from gateway_attempt where verb = 'charge' and status = 'succeeded' order by id limit 1)`
    test.each([
      [
        'a payment of another amount than was asked for',
        `update payment set amount = amount + 100 where id = ${deposit}`,
        `update payment set amount = amount - 100 where id = ${deposit}`,
        /^told: .* was asked for/,
      ],
      [
        'a payment that has not ended',
        `update payment set status = 'pending', failure_code = 'was here', completed_at = null where id = ${deposit}`,
        `update payment set status = 'completed', failure_code = null, completed_at = now() where failure_code = 'was here'`,
        /^open: deposit .* is pending/,
      ],
      [
        'money that a gateway has not moved',
        `update gateway_attempt set moved = moved + 1 where id = ${charge}`,
        `update gateway_attempt set moved = moved - 1 where id = ${charge}`,
        /^outside: charge of payment/,
      ],
      [
        'a wallet that holds too much',
        `update account set balance = balance + 1 where purpose = 'wallet'`,
        `update account set balance = balance - 1 where purpose = 'wallet'`,
        /^books: The wallet .* by its payments it is/,
      ],
      [
        'a limit that was not given back',
        'update limit_use set used = used + 1',
        'update limit_use set used = used - 1',
        /^books: The limit of .* is used by/,
      ],
      [
        'a webhook that was never worked on',
        `update webhook set status = 'parked', try_at = now(), finished_at = null where gateway = 'mock'`,
        `update webhook set status = 'processed', try_at = null, finished_at = now() where gateway = 'mock'`,
        /^open: The mock webhook .* is parked/,
      ],
    ])('finds %s', async (_name, wrong, right, says) => {
      await tamper(wrong)
      expect((await found()).join('\n')).toMatch(new RegExp(says.source, 'm'))
      await tamper(right)
      expect(await found()).toEqual([])
    })

    test('finds what a gateway has moved and nobody here has asked for', async () => {
      const { apiBase } = sandbox.gateways.mock
      const headers = { authorization: `Bearer ${GATEWAY_KEYS.MOCK_API_KEY}`, 'idempotency-key': newId() }
      const body = JSON.stringify({ amount: 500, currency: 'INR', method: 'card' })
      await askGateway(sandbox, 'mock', 'PUT', '/_webhooks', { mode: 'drop' })
      await fetch(`${apiBase}/charges`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      })
      expect(await found()).toEqual([
        expect.stringMatching(/^outside: charge of payment nobody’s .*: mock says 500 INR/),
      ])
    })
  })

  describe('of billing', () => {
    let records: Records
    let billing: Billing
    beforeAll(async () => {
      records = new Records()
      const client = new Client({ doors: [bursar.door.url], records, dice: new Dice(3) })
      billing = new Billing({ pool: bursar.pool, sandbox })
      await billing.setUp(client)
      for (let n = 0; n < 150; n++) await billing.step(client)
      await bursar.quiet()
      for (let open = 1; open > 0; ) {
        open = await billing.passTime({ pool: bursar.pool })
        await askForUpkeep(audited(), ['invoice.overdue', 'invoice.dun', 'invoice.follow', 'webhook.unpark'])
        await bursar.quiet()
      }
    })
    const found = async () =>
      (await billing.audit({ pool: bursar.pool, told: records.all, sandbox })).findings.map(
        ({ sort, says }) => `${sort}: ${says}`,
      )

    test('finds nothing where nothing is wrong, and has had something of everything', async () => {
      expect(await found()).toEqual([])
      const { figures } = await billing.audit({ pool: bursar.pool, told: records.all, sandbox })
      for (const figure of ['usageEvents', 'monthsBilled', 'billedByRuns', 'invoicesByHand', 'invoicesPaid'])
        expect(figures[figure], figure).toBeGreaterThan(5)
    })

    const event = `(select ctid from usage_event where event_id like 'evt_%' order by event_id limit 1)`
    const month = `(select id from invoice where origin = 'usage' and status <> 'void' order by id limit 1)`
    const paid = `(select id from invoice_payment where status = 'succeeded' order by id limit 1)`
    test.each([
      [
        'an event that was counted otherwise than it was told',
        `update usage_event set quantity = quantity + 1 where ctid = ${event}`,
        `update usage_event set quantity = quantity - 1 where ctid = ${event}`,
        /^told: Event .* is kept as/,
      ],
      [
        'usage that its invoice has not billed',
        `update usage_event set quantity = quantity + 1000000 where event_id like 'seeded%' and metric = 'api_calls'`,
        `update usage_event set quantity = quantity - 1000000 where event_id like 'seeded%' and metric = 'api_calls'`,
        /^lost: Invoice .* asks .* by what was used it is/,
      ],
      [
        'a gap between numbers',
        'update invoice set sequence = sequence + 100000 where sequence = 3',
        'update invoice set sequence = sequence - 100000 where sequence = 100003',
        /^lost: Of the numbers of invoices the 3/,
      ],
      [
        'a total that is not that of its lines',
        `update invoice set total = total + 1, tax = tax + 1 where id = ${month}`,
        `update invoice set total = total - 1, tax = tax - 1 where id = ${month}`,
        /^books: invoice .* reckoned again it is/,
      ],
      [
        'money that Stripe has not taken',
        `update invoice_payment set moved = moved + 1 where id = ${paid}`,
        `update invoice_payment set moved = moved - 1 where id = ${paid}`,
        /^outside: Payment .*: Stripe says/,
      ],
      [
        'a payment whose outcome nobody knows',
        `update invoice_payment set status = 'unknown', code = 'was here' where id = ${paid}`,
        `update invoice_payment set status = 'succeeded', code = null where code = 'was here'`,
        /^open: Payment .* is unknown/,
      ],
      [
        'a run that is left half',
        `update run set status = 'running', done = done - 1 where period = (select min(period) from run)`,
        `update run set status = 'closed', done = done + 1 where period = (select min(period) from run)`,
        /^open: The run of .* is running/,
      ],
      [
        'a customer who carries what no invoice left',
        `update billing_customer set brought = brought + 5 where id = 'bill_03'`,
        `update billing_customer set brought = brought - 5 where id = 'bill_03'`,
        /^books: bill_03 still owes/,
      ],
      [
        'an invoice that is not posted',
        `update transfer set amount = amount + 1 where id = (select id from transfer where movement = 'invoice.issue' order by id limit 1)`,
        `update transfer set amount = amount - 1 where id = (select id from transfer where movement = 'invoice.issue' order by id limit 1)`,
        /^books: receivable has/,
      ],
      [
        'an invoice that was changed after it was printed',
        `update invoice set due_at = due_at + interval '1 second' where type = 'invoice'`,
        `update invoice set due_at = due_at - interval '1 second' where type = 'invoice'`,
        /^told: Invoice .* was printed as/,
      ],
    ])('finds %s', async (_name, wrong, right, says) => {
      await tamper(wrong)
      expect((await found()).join('\n')).toMatch(new RegExp(says.source, 'm'))
      await tamper(right)
      expect(await found()).toEqual([])
    })
  })

  test('finds a decision about a voice that nobody was asked about', async () => {
    const worked = await work()
    await sandbox.stop()
    const other = await startSandbox({ port: Number(new URL(sandbox.voiceUrl).port) })
    sandbox = other
    expect(sorts(await audit(worked))).toEqual(['outside'])
  })

  test('notes at once a key that names two operations, and an outcome that changes', () => {
    const records = new Records()
    const told = records.open({ kind: 'token.deduct', method: 'POST', path: '/' })
    records.operation(told, 'a')
    records.outcome(told, { status: 'succeeded', result: { left: 1 } })
    records.operation(told, 'a')
    records.outcome(told, { status: 'succeeded', result: { left: 1 } })
    expect(records.findings).toEqual([])
    records.operation(told, 'b')
    records.outcome(told, { status: 'succeeded', result: { left: 2 } })
    expect(sorts(records.findings)).toEqual(['doubled', 'told'])
  })
})
