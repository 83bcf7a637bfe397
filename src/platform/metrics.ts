import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Distinct voices that one process labels before it says `other`: a label without bound would eat the monitoring. */
const MAX_VOICES = 1_000

/** Seconds. Fine where an idle system answers, coarse where somebody waits for a gateway. */
const SECONDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** What a process asks of others when its metrics are read. A question that fails leaves its gauge out of that reading. */
export interface Questions {
  tokensInUse(): Promise<{ active: number }>
  depths(): Promise<Record<string, Record<string, number>>>
  ledgerCheck(): Promise<{ findings: number; checkedAt: Date } | undefined>
  openOperations(): Promise<{ status: string; count: number; oldestSeconds: number }[]>
  intakeWaiting(): number
}

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

function registerQuestions(registers: Registry[], questions: Questions): void {
  /** Sets a gauge anew at each reading, from nothing: what could not be asked, or is no longer there, is left out. */
  function asked<Label extends string>(
    { name, help, labels = [] }: { name: string; help: string; labels?: readonly Label[] },
    fill: (gauge: Gauge<Label>) => Promise<void>,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: labels,
      registers,
      async collect() {
        this.reset()
        // Without labels a gauge is 0 until it is set, which would say more than anybody knows.
        if (labels.length === 0) this.remove()
        await fill(this).catch(() => {})
      },
    })
  }
  // Two gauges each are made from one answer.
  const openOperations = sharedWhileAsked(() => questions.openOperations())
  const ledgerCheck = sharedWhileAsked(() => questions.ledgerCheck())

  asked({ name: 'active_payment_tokens', help: 'Number of active payment tokens' }, async (gauge) =>
    gauge.set((await questions.tokensInUse()).active),
  )
  asked({ name: 'bursar_queue_jobs', help: 'Jobs by queue and state', labels: ['queue', 'state'] }, async (gauge) => {
    for (const [queue, states] of Object.entries(await questions.depths())) {
      for (const [state, count] of Object.entries(states)) gauge.set({ queue, state }, count)
    }
  })
  asked(
    { name: 'bursar_ledger_checked_timestamp_seconds', help: 'When the books were last checked' },
    async (gauge) => {
      const check = await ledgerCheck()
      if (check !== undefined) gauge.set(check.checkedAt.getTime() / 1_000)
    },
  )
  asked(
    {
      name: 'bursar_ledger_findings',
      help: 'What the last check of the books found; anything but 0 is an alarm. Absent until there was a check',
    },
    async (gauge) => {
      const check = await ledgerCheck()
      if (check !== undefined) gauge.set(check.findings)
    },
  )
  asked(
    { name: 'bursar_open_operations', help: 'Operations that are not final, by status', labels: ['status'] },
    async (gauge) => {
      for (const { status, count } of await openOperations()) gauge.set({ status }, count)
    },
  )
  asked(
    {
      name: 'bursar_oldest_open_operation_seconds',
      help: 'Age of the oldest operation in a state that is not final',
      labels: ['status'],
    },
    async (gauge) => {
      for (const { status, oldestSeconds } of await openOperations()) gauge.set({ status }, oldestSeconds)
    },
  )
  asked({ name: 'bursar_intake_waiting', help: 'Submissions that wait for their commit' }, async (gauge) =>
    gauge.set(questions.intakeWaiting()),
  )
}

/** Whoever asks while the question is on its way shares the answer. */
function sharedWhileAsked<Answer>(ask: () => Promise<Answer>): () => Promise<Answer> {
  let asking: Promise<Answer> | undefined
  return () => {
    asking ??= ask().finally(() => {
      asking = undefined
    })
    return asking
  }
}
