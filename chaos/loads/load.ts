import type pg from 'pg'
import type { Sandbox } from '../../src/sandbox/server.ts'
import type { Client } from '../client.ts'
import type { Finding } from '../finding.ts'
import type { Told } from '../records.ts'

/** What an audit may look at, once all is quiet. */
export interface Evidence {
  /** The books, past all proxies. */
  readonly pool: pg.Pool
  /** What callers were told, of every kind. */
  readonly told: readonly Told[]
  /** The stand-ins of everybody else, who count what they were asked. */
  readonly sandbox: Sandbox
}

export interface Audited {
  readonly findings: readonly Finding[]
  /** Figures worth showing beside them. */
  readonly figures: Readonly<Record<string, number>>
}

/** What clients do with one noun, and how to tell whether all of it was done exactly once. */
export interface Load {
  readonly name: string
  /** How many of the clients' steps are of this load, beside the others. */
  readonly weight: number
  /** Before the first fault. */
  setUp(client: Client): Promise<void>
  /** One thing that one client does. Resolves when it has an answer to rely on. */
  step(client: Client): Promise<void>
  /** Done by one client after a fault is over, to see whether all works again: resolves with an outcome. */
  probe?(client: Client): Promise<void>
  /**
   * Brings about, once all is quiet, what only hours would bring: what waited at a bank is done, what was to be asked about
   * later is due. Answers with what is open that will not end otherwise.
   */
  passTime?(evidence: Pick<Evidence, 'pool' | 'sandbox'>): Promise<number>
  /** Once all is quiet. */
  audit(evidence: Evidence): Promise<Audited>
}
