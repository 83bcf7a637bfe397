import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { newId } from '../src/kit/ids.ts'
import { Deployment } from './support/deployment.ts'
import { OPERATOR } from './support/tokens.ts'

/* promtool is no package: what it would see (names, functions, brackets, durations) is looked at here as far as it goes. */

const file = (path: string) => readFileSync(new URL(`../deploy/${path}`, import.meta.url), 'utf8')

const Alerts = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string(),
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^Bursar[A-Z]\w+$/),
          expr: z.string().min(1),
          for: z
            .string()
            .regex(/^\d+[smh]$/)
            .optional(),
          labels: z.strictObject({ severity: z.enum(['warning', 'critical']) }),
          annotations: z.strictObject({ summary: z.string().min(10), runbook: z.string().min(40) }),
        }),
      ),
    }),
  ),
})

const Dashboard = z.looseObject({
  panels: z.array(
    z.looseObject({
      id: z.int(),
      title: z.string(),
      gridPos: z.object({ x: z.int(), y: z.int(), w: z.int(), h: z.int() }),
      targets: z.array(z.looseObject({ expr: z.string() })).optional(),
    }),
  ),
})

const alerts = Alerts.parse(parse(file('prometheus/alerts.yml'))).groups.flatMap(({ rules }) => rules)
const dashboard = Dashboard.parse(JSON.parse(file('grafana/bursar.json')))
const expressions = [
  ...alerts.map(({ alert, expr }) => [alert, expr] as const),
  ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
]

/** Words of PromQL that we use; whatever else stands in front of a selector or alone is a metric. */
const WORDS = new Set(['and', 'max', 'min', 'sum', 'rate', 'increase', 'abs', 'time', 'histogram_quantile', 'up'])

const withoutTexts = (expr: string) => expr.replaceAll(/"[^"]*"/g, '""')

/** The metrics of an expression, with the labels that it selects. */
function metricsIn(expr: string): { name: string; labels: string[] }[] {
  const bare = withoutTexts(expr)
    .replaceAll(/\b(by|without)\s*\([^)]*\)/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
  return [...bare.matchAll(/\b([a-z_]\w*)(\{[^}]*\})?/g)].flatMap(([, name = '', selector = '']) =>
    WORDS.has(name) ? [] : [{ name, labels: [...selector.matchAll(/(\w+)\s*[!=]/g)].map(([, label = '']) => label) }],
  )
}

let bursar: Deployment
let types: Map<string, string>
let labels: Map<string, Set<string>>
beforeAll(async () => {
  bursar = await Deployment.start({ env: { FRAUD_RULES: 'observe' } })
  const user = `user_${newId()}`
  const deposit = (amount: number) =>
    bursar.do(
      'POST',
      '/api/v1/payments/deposits/initiate',
      { user_id: user, amount, gateway: 'mock' },
      { as: 'shop', roles: ['service'] },
    )
  expect((await deposit(10)).status).toBe(200)
  const { body } = await bursar.get('/metrics', OPERATOR)
  const text: string = body
  types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]))
  labels = new Map()
  for (const [, name = '', written = ''] of text.matchAll(/^([a-z_][a-z0-9_]*)(?:\{(.*)\})? \S+$/gm)) {
    const known = labels.get(name) ?? new Set()
    for (const [, label = ''] of written.matchAll(/(\w+)="/g)) known.add(label)
    labels.set(name, known)
  }
})
afterAll(() => bursar.stop())

/** A histogram is asked for under three names. */
const family = (name: string) => (types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ''))

describe.each(expressions)('%s', (_title, expr) => {
  test('asks only for metrics that a running Bursar has, and for labels that they carry', () => {
    const asked = metricsIn(expr)
    expect(asked.length + Number(/\bup\b/.test(expr)), expr).toBeGreaterThan(0)
    for (const { name, labels: wanted } of asked) {
      expect([name, types.has(family(name))]).toEqual([name, true])
      if (name !== family(name)) expect(types.get(family(name))).toBe('histogram')
      const carried = labels.get(name)
      if (carried !== undefined && carried.size > 0)
        for (const label of wanted) expect([name, label, carried.has(label)]).toEqual([name, label, true])
    }
  })

  test('is written as PromQL is', () => {
    const bare = withoutTexts(expr)
    for (const [open, close] of ['()', '{}', '[]'].map((pair) => [...pair]))
      expect(bare.split(open ?? '').length, expr).toBe(bare.split(close ?? '').length)
    // Rates and increases are of counters, over a time.
    for (const [, called = '', inside = ''] of bare.matchAll(/\b(rate|increase)\(([^()]*)\)/g)) {
      expect([called, inside]).toEqual([called, expect.stringMatching(/\[(\d+[smh]|\$__rate_interval)\]$/)])
      const [{ name = '' } = {}] = metricsIn(inside)
      expect([name, types.get(family(name))]).toEqual([name, expect.stringMatching(/^(counter|histogram)$/)])
    }
  })
})

test('every alert of the critical ones is there, by the names that people know them by', () => {
  const names = alerts.map(({ alert }) => alert)
  expect(new Set(names).size).toBe(names.length)
  for (const name of [
    ...['BursarGatewayFailing', 'BursarDatabaseAway', 'BursarWebhooksForged', 'BursarManyErrors', 'BursarSlow'],
    ...['BursarBooksDoNotBalance', 'BursarOperationsStuck', 'BursarRelayRedispatching', 'BursarWebhooksParked'],
    ...['BursarSuspenseOlderThanADay', 'BursarReconciliationFindings', 'BursarCircuitOpen'],
    ...['BursarRelayLeavesBehind', 'BursarSchedulesOverdue', 'BursarNobodyWatches'],
  ])
    expect(names).toContain(name)
})

test('a runbook line names only routes and kinds that there are', () => {
  const routes = new Set(bursar.door.router.routes.map(({ path }) => path.replaceAll(/\{\w+\}/g, '{}')))
  for (const { annotations } of alerts)
    for (const [path = ''] of annotations.runbook.matchAll(/\/(?:api|health)[\w/{}-]*/g))
      expect([path, routes.has(path.replaceAll(/\{\w+\}/g, '{}'))]).toEqual([path, true])
})

test('panels of the dashboard do not lie on one another', () => {
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`),
  )
  expect(new Set(cells).size).toBe(cells.length)
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
})

test('payments are counted once each, by what became of them', async () => {
  const of = async (name: string): Promise<string[]> => {
    const { body } = await bursar.get('/metrics', OPERATOR)
    return String(body)
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`))
      .toSorted()
  }
  const backEnd = { as: 'shop', roles: ['service'] } as const
  const path = '/api/v1/payments/deposits/initiate'
  const user_id = `user_${newId()}`
  await bursar.do('POST', path, { user_id, amount: 10, gateway: 'mock' }, backEnd)
  const { body: method } = await bursar.do(
    'POST',
    '/api/v1/payments/methods',
    { user_id, type: 'card', gateway: 'mock', token: 'mock_decline' },
    backEnd,
  )
  await bursar.do('POST', path, { user_id, amount: 10, payment_method_id: method.id }, backEnd)
  expect(await of('bursar_payments_total')).toEqual([
    'bursar_payments_total{type="deposit",gateway="mock",outcome="completed"} 2',
    'bursar_payments_total{type="deposit",gateway="mock",outcome="failed"} 1',
  ])
  expect(await of('bursar_payment_seconds_count')).toEqual([
    'bursar_payment_seconds_count{type="deposit",gateway="mock"} 3',
  ])
})

test('a forged webhook is counted as a security event', async () => {
  await bursar.ask('POST', '/webhooks/mock', { body: { id: 'evt_1' }, headers: { 'x-mock-signature': 't=1,v1=00' } })
  await bursar.quiet()
  const { body } = await bursar.get('/metrics', OPERATOR)
  expect(body).toMatch(/^bursar_security_events_total\{type="webhook_forged"\} 1$/m)
})
