import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client'
import { type Questions, registerQuestions } from './metric-questions.ts'

/** Distinct voices that one process labels before it says `other`: a label without bound would eat the monitoring. */
const MAX_VOICES = 1_000

/** Seconds. Fine where an idle system answers, coarse where somebody waits for a gateway. */
const SECONDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** Seconds from a request to the end of its payment: cards take one, customers minutes, banks a day. */
const PAYMENT_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400]

export type Metrics = ReturnType<typeof makeMetrics>

/** All metrics of one process: the seeds' names and ours. */
export function makeMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]

  const tokensCreated = new Counter({
    name: 'payment_tokens_created_total',
    help: 'Total number of payment tokens created',
    labelNames: ['voice_id_hash'],
    registers,
  })
  const consumed = new Histogram({
    name: 'budget_consumption_amount',
    help: 'Budget consumption amounts',
    buckets: [1, 5, 10, 25, 50, 100, 250, 500],
    registers,
  })
  const finished = new Counter({
    name: 'bursar_operations_total',
    help: 'Operations that reached an outcome, or got stuck',
    labelNames: ['kind', 'status', 'code'],
    registers,
  })
  const working = new Histogram({
    name: 'bursar_operation_seconds',
    help: 'Time in work of the job that carried the operation',
    labelNames: ['kind'],
    buckets: SECONDS,
    registers,
  })
  const requests = new Histogram({
    name: 'bursar_http_request_seconds',
    help: 'Time from request to answer',
    labelNames: ['method', 'route', 'status'],
    buckets: SECONDS,
    registers,
  })
  const others = new Histogram({
    name: 'bursar_gateway_seconds',
    help: 'Time that others took to answer us',
    labelNames: ['gateway', 'call', 'outcome'],
    buckets: SECONDS,
    registers,
  })
  const payments = new Counter({
    name: 'bursar_payments_total',
    help: 'Payments that have ended, by what became of them; one that comes back later is counted again, as returned',
    labelNames: ['type', 'gateway', 'outcome'],
    registers,
  })
  const paying = new Histogram({
    name: 'bursar_payment_seconds',
    help: 'Time from the request to the end of its payment',
    labelNames: ['type', 'gateway'],
    buckets: PAYMENT_SECONDS,
    registers,
  })
  const leftBehind = new Counter({
    name: 'bursar_relay_redispatched_total',
    help: 'Operations that the relay dispatched again',
    registers,
  })

  let asking = false
  const voices = new Set<string>()
  const voiceLabel = (digest: string): string => {
    const label = digest.slice(0, 8)
    if (!voices.has(label) && voices.size >= MAX_VOICES) return 'other'
    voices.add(label)
    return label
  }

  return {
    registry,
    tokenIssued: (voiceDigest: string) => tokensCreated.inc({ voice_id_hash: voiceLabel(voiceDigest) }),
    budgetConsumed: (amount: number) => consumed.observe(amount),
    operationFinished(kind: string, status: string, code: string | undefined, seconds: number) {
      finished.inc({ kind, status, code: code ?? '' })
      working.observe({ kind }, seconds)
    },
    requestAnswered: (method: string, route: string, status: number, seconds: number) =>
      requests.observe({ method, route, status: String(status) }, seconds),
    gatewayAnswered: (call: { gateway: string; method: string; seconds: number; outcome: string }) =>
      others.observe({ gateway: call.gateway, call: call.method, outcome: call.outcome }, call.seconds),
    paymentEnded(ended: { type: string; gateway: string | null | undefined; outcome: string; seconds: number }) {
      const labels = { type: ended.type, gateway: ended.gateway ?? 'none' }
      payments.inc({ ...labels, outcome: ended.outcome })
      paying.observe(labels, ended.seconds)
    },
    redispatched: (count: number) => leftBehind.inc(count),
    /** Times a call to somebody else. */
    async timed<Result>(gateway: string, call: string, ask: () => Promise<Result>): Promise<Result> {
      const startedAt = performance.now()
      const observe = (outcome: string) =>
        others.observe({ gateway, call, outcome }, (performance.now() - startedAt) / 1_000)
      try {
        const answer = await ask()
        observe('answered')
        return answer
      } catch (error) {
        observe('fault')
        throw error
      }
    },
    /** Gauges that are read from the stores whenever the metrics are. The first one to come answers for the process. */
    askWhenRead(questions: Questions) {
      if (!asking) registerQuestions(registers, questions)
      asking = true
    },
  }
}
