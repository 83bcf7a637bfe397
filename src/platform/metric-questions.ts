import { Counter, Gauge, type Registry } from 'prom-client'

const circuitStates = ['closed', 'open', 'half_open'] as const

/** What a process asks of others when its metrics are read. A question that fails leaves its gauge out of that reading. */
export interface Questions {
  tokensInUse(): Promise<{ active: number }>
  depths(): Promise<Record<string, Record<string, number>>>
  ledgerCheck(): Promise<{ findings: number; checkedAt: Date } | undefined>
  relayWatch(): Promise<{ leftBehind: number; overdue: number; watchedAt: Date } | undefined>
  openOperations(): Promise<{ status: string; count: number; oldestSeconds: number }[]>
  intakeWaiting(): number
  /** Rejects when it cannot be asked. */
  database(): Promise<unknown>
  /** As this process has found them. */
  circuits(): { gateway: string; state: (typeof circuitStates)[number]; openings: number }[]
  paymentsInReview(): Promise<number>
  parkedWebhooks(): Promise<{ gateway: string; parked: number }[]>
  /** Minor units. */
  clearing(): Promise<
    { purpose: string; currency: string; balance: bigint; unexplained: bigint; oldestSeconds: number | undefined }[]
  >
  reconciliations(): Promise<{ gateway: string; forPerson: number; finishedAt: Date }[]>
  /** Those of this process's lifetime, whoever saw them. */
  securityEvents(): Promise<{ type: string; count: number }[]>
}

export function registerQuestions(registers: Registry[], questions: Questions): void {
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
  /** One figure, left out of a reading in which nobody knows it. */
  const figure = (name: string, help: string, read: () => Promise<number | undefined>) =>
    asked({ name, help }, async (gauge) => {
      const known = await read()
      if (known !== undefined) gauge.set(known)
    })
  // Several gauges each are made from one answer.
  const openOperations = sharedWhileAsked(() => questions.openOperations())
  const ledgerCheck = sharedWhileAsked(() => questions.ledgerCheck())
  const relayWatch = sharedWhileAsked(() => questions.relayWatch())

  figure('active_payment_tokens', 'Number of active payment tokens', async () => (await questions.tokensInUse()).active)
  asked({ name: 'bursar_queue_jobs', help: 'Jobs by queue and state', labels: ['queue', 'state'] }, async (gauge) => {
    for (const [queue, states] of Object.entries(await questions.depths())) {
      for (const [state, count] of Object.entries(states)) gauge.set({ queue, state }, count)
    }
  })
  figure('bursar_ledger_checked_timestamp_seconds', 'When the books were last checked', async () => {
    const check = await ledgerCheck()
    return check && secondsOf(check.checkedAt)
  })
  figure(
    'bursar_ledger_findings',
    'What the last check of the books found; anything but 0 is an alarm. Absent until there was a check',
    async () => (await ledgerCheck())?.findings,
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
  figure(
    'bursar_relay_left_behind',
    'Operations that were open for a minute and that the queue did not mean to run, by the last watch; anything but 0 for long is an alarm',
    async () => (await relayWatch())?.leftBehind,
  )
  figure(
    'bursar_schedules_overdue',
    'Schedules whose period nobody had started, by the last watch',
    async () => (await relayWatch())?.overdue,
  )
  figure(
    'bursar_relay_watched_timestamp_seconds',
    'When relay and schedules were last watched: clock, queue and a worker were well then',
    async () => {
      const watch = await relayWatch()
      return watch && secondsOf(watch.watchedAt)
    },
  )
  figure('bursar_intake_waiting', 'Submissions that wait for their commit', async () => questions.intakeWaiting())
  figure('bursar_database_up', 'Whether this process reaches the database', () =>
    questions.database().then(
      () => 1,
      () => 0,
    ),
  )
  figure('bursar_payments_in_review', 'Payments that wait for a person', () => questions.paymentsInReview())
  paymentQuestions(registers, asked, questions)
}

type Asked = <Label extends string>(
  named: { name: string; help: string; labels?: readonly Label[] },
  fill: (gauge: Gauge<Label>) => Promise<void>,
) => void

function paymentQuestions(registers: Registry[], asked: Asked, questions: Questions): void {
  const clearing = sharedWhileAsked(() => questions.clearing())
  const reconciliations = sharedWhileAsked(() => questions.reconciliations())

  asked(
    {
      name: 'bursar_gateway_circuit_state',
      help: 'Whether this process asks a gateway to move money: 1 for the state that its circuit is in',
      labels: ['gateway', 'state'],
    },
    async (gauge) => {
      for (const { gateway, state } of questions.circuits())
        for (const one of circuitStates) gauge.set({ gateway, state: one }, one === state ? 1 : 0)
    },
  )
  counted(
    registers,
    {
      name: 'bursar_gateway_circuit_openings_total',
      help: 'How often a gateway’s circuit was opened',
      labels: ['gateway'],
    },
    async (counter) => {
      for (const { gateway, openings } of questions.circuits()) counter.inc({ gateway }, openings)
    },
  )
  asked(
    {
      name: 'bursar_webhooks_parked',
      help: 'Webhooks about something that nobody here knows (yet)',
      labels: ['gateway'],
    },
    async (gauge) => {
      for (const { gateway, parked } of await questions.parkedWebhooks()) gauge.set({ gateway }, parked)
    },
  )
  asked(
    {
      name: 'bursar_clearing_balance',
      help: 'What waits on accounts that return to zero, minor units; absent where nothing does',
      labels: ['purpose', 'currency'],
    },
    async (gauge) => {
      for (const { purpose, currency, balance } of await clearing()) gauge.set({ purpose, currency }, Number(balance))
    },
  )
  asked(
    {
      name: 'bursar_clearing_unexplained',
      help: 'What of it belongs to no payment that is known, minor units; anything but 0 is an alarm',
      labels: ['purpose', 'currency'],
    },
    async (gauge) => {
      for (const { purpose, currency, unexplained } of await clearing())
        gauge.set({ purpose, currency }, Number(unexplained))
    },
  )
  asked(
    {
      name: 'bursar_clearing_oldest_seconds',
      help: 'How long the oldest of it has waited',
      labels: ['purpose', 'currency'],
    },
    async (gauge) => {
      for (const { purpose, currency, oldestSeconds } of await clearing())
        if (oldestSeconds !== undefined) gauge.set({ purpose, currency }, oldestSeconds)
    },
  )
  asked(
    {
      name: 'bursar_reconciliation_findings',
      help: 'Differences to a gateway’s list that wait for a person, by the last reconciliation',
      labels: ['gateway'],
    },
    async (gauge) => {
      for (const { gateway, forPerson } of await reconciliations()) gauge.set({ gateway }, forPerson)
    },
  )
  asked(
    {
      name: 'bursar_reconciled_timestamp_seconds',
      help: 'When a gateway’s list was last compared with ours',
      labels: ['gateway'],
    },
    async (gauge) => {
      for (const { gateway, finishedAt } of await reconciliations()) gauge.set({ gateway }, secondsOf(finishedAt))
    },
  )
  counted(
    registers,
    {
      name: 'bursar_security_events_total',
      help: 'Entries of the security log since this process started; every process sees all of them',
      labels: ['type'],
    },
    async (counter) => {
      for (const { type, count } of await questions.securityEvents()) counter.inc({ type }, count)
    },
  )
}

const secondsOf = (at: Date): number => at.getTime() / 1_000

/** A count that somebody else keeps. What could not be asked is left out of that reading. */
function counted<Label extends string>(
  registers: Registry[],
  { name, help, labels }: { name: string; help: string; labels: readonly Label[] },
  fill: (counter: Counter<Label>) => Promise<void>,
): void {
  new Counter({
    name,
    help,
    labelNames: labels,
    registers,
    async collect() {
      this.reset()
      await fill(this).catch(() => {})
    },
  })
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
