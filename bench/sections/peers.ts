import { checkLedger, inSnapshot } from '../../src/domain/ledger/check.ts'
import { inTransaction, openPool } from '../../src/platform/database.ts'
import { type Contestant, designs, startDesign } from '../contestant.ts'
import { inTurns, times } from '../drive.ts'
import { atLeast, type Measure, type Verdict } from '../findings.ts'
import type { Backend } from '../options.ts'
import { backendsOf, onBackend, withAll } from './backends.ts'
import { TOKENS } from './bare-route.ts'
import type { Section } from './section.ts'

/** Promised against the best of the peers whose queue is on the same backend. */
const TIMES: Record<Backend, number> = { redis: 4, postgres: 10 }

const PEERS = {
  redis: [designs.bullmq('redis')],
  postgres: [designs.bullmq('postgres'), designs.pgBoss(), designs.graphileWorker()],
}

export const peers: Section = {
  name: 'peers',
  doc: 'The same deductions, one job and one transaction for each, on the queues that people use for it',
  async run(stage) {
    const backends = backendsOf(stage)
    const taking = backends.flatMap((backend) => [designs.bursar(backend), ...PEERS[backend]])
    const measures = await withAll(
      taking.map((design) => () => startDesign(stage, design, { tokens: TOKENS })),
      async (all) => {
        const measured = await inTurns(stage, all)
        for (const one of all) await expectBooksInOrder(one)
        return measured
      },
    )
    const byName = new Map(measures.map((measure) => [measure.what, measure]))
    const verdicts = backends.map((backend): Verdict => {
      const best = bestOf(PEERS[backend].flatMap(({ name }) => byName.get(name) ?? []))
      return atLeast(TIMES[backend], {
        id: `peers.${backend}`,
        what: `the same, ${onBackend(backend)}`,
        against: `the best of ${PEERS[backend].map(({ name }) => name).join(', ')}: ${best?.what}`,
        brief: `times the best peer, ${onBackend(backend)}`,
        measured: times(byName.get(designs.bursar(backend).name), best),
      })
    })
    return { measures, verdicts }
  },
}

const bestOf = (measures: readonly Measure[]): Measure | undefined =>
  measures.toSorted((a, b) => (b.perSecond ?? 0) - (a.perSecond ?? 0))[0]

/** Whoever takes part has kept books that pass the check: nobody was quick by leaving something out. */
async function expectBooksInOrder({ name, database }: Contestant): Promise<void> {
  if (database === undefined) return
  const pool = openPool({ url: database.url, name: 'bench check', max: 1 })
  try {
    const findings = await inTransaction(pool, (sql) => inSnapshot(sql, () => checkLedger(sql, new Date())))
    if (findings.length > 0) throw new Error(`${name}: the books are not in order: ${JSON.stringify(findings[0])}`)
  } finally {
    await pool.end()
  }
}
