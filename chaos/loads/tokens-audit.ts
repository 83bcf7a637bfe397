import { deductToken, issueToken, mirrorToken, revokeToken } from '../../src/jobs/tokens.ts'
import type { Finding } from '../finding.ts'
import type { Told } from '../records.ts'
import type { Audited, Evidence } from './load.ts'
import { STANDING_BUDGET } from './standing.ts'

interface OperationRow {
  readonly id: string
  readonly kind: string
  readonly status: string
  readonly code: string | null
  readonly result: Record<string, unknown> | null
  readonly transfers: readonly { id: string; movement: string; amount: number; debit: string; credit: string }[]
}

interface TokenRow {
  readonly id: string
  readonly operation_id: string
  readonly status: string
  readonly budget: string
  readonly account_id: string | null
  readonly balance: string | null
  readonly mirrors: number
}

/** Requests to the stand-ins on their way at once. */
const AT_ONCE = 16

/** Holds every deed of the tokens' clients against rows, transfers and what the stand-ins have counted. */
export async function auditTokens(
  evidence: Evidence,
  { standing }: { standing: ReadonlySet<string> },
): Promise<Audited> {
  const { pool, sandbox } = evidence
  const findings: Finding[] = []
  const finds = (sort: Finding['sort'], says: string) => void findings.push({ sort, says })
  const told = evidence.told.filter(({ kind }) => kind.startsWith('token.'))

  const operations = await operationsOf(evidence)
  const tokens = await tokensOf(evidence)
  const accountOf = new Map(tokens.map((token) => [token.id, token.account_id]))

  /** What each token has given, by what its clients asked for and were told. */
  const spent = new Map<string, number>()
  const returned = new Map<string, number>()
  const issued = new Map<string, { budget: number; voice: string }>()
  const asked = new Map<string, { inAll: number; verified: number }>()

  for (const one of told) {
    const operation = operations.get(one.operationId ?? '')
    // The general audit has said so already.
    if (operation === undefined || !isFinal(operation)) continue
    const wrong = (sort: Finding['sort'], says: string) => finds(sort, `${one.kind} ${operation.id} ${says}`)
    const due = deedOf(one, standing)
    const done = operation.status === 'succeeded'
    if (done && !due.ends.includes('succeeded')) wrong('told', `succeeded, and should be refused with ${due.ends}`)
    if (!done && !due.ends.includes(operation.code ?? '')) wrong('lost', `was refused with ${operation.code}`)

    const transfers = operation.transfers
    if (!done && transfers.length > 0) wrong('doubled', 'was refused, and moved money')
    if (one.kind === deductToken.name) {
      if (!done) continue
      const [transfer] = transfers
      if (transfers.length !== 1 || transfer === undefined) {
        wrong(transfers.length === 0 ? 'lost' : 'doubled', `succeeded with ${transfers.length} transfers`)
        continue
      }
      if (transfer.amount !== due.amount || transfer.debit !== accountOf.get(due.token))
        wrong('told', `moved ${transfer.amount} from ${transfer.debit}, and ${due.amount} was asked for`)
      if (operation.result?.transaction_id !== transfer.id) wrong('told', 'names another transfer than its own')
      add(spent, due.token, due.amount)
    } else if (one.kind === revokeToken.name) {
      if (!done) continue
      const rest = Number(operation.result?.returned)
      const moved = transfers.reduce((sum, { amount }) => sum + amount, 0)
      if (moved !== rest || transfers.length > 1) wrong('told', `returned ${moved} and said ${rest}`)
      if (returned.has(due.token)) wrong('doubled', `revoked ${due.token} once more`)
      add(returned, due.token, rest)
    } else if (one.kind === issueToken.name) {
      const calls = asked.get(due.voice) ?? { inAll: 0, verified: 0 }
      calls.inAll += 1
      if (operation.code !== 'token.voiceRejected') calls.verified += 1
      asked.set(due.voice, calls)
      if (!done) continue
      if (transfers.length !== 1 || transfers[0]?.amount !== due.amount)
        wrong(transfers.length === 0 ? 'lost' : 'doubled', `succeeded with ${transfers.length} transfers`)
      issued.set(String(operation.result?.token_id), { budget: due.amount, voice: due.voice })
    }
  }

  for (const token of tokens) {
    const issue = issued.get(token.id)
    if (issue === undefined) {
      if (token.status !== 'declined') finds('doubled', `Token ${token.id} is ${token.status}, and nobody was given it`)
      continue
    }
    const left = issue.budget - (spent.get(token.id) ?? 0) - (returned.get(token.id) ?? 0)
    if (left !== Number(token.balance))
      finds('books', `Token ${token.id} holds ${token.balance}; by what its callers were told it is ${left}`)
    if (returned.has(token.id) !== (token.status === 'revoked')) finds('told', `Token ${token.id} is ${token.status}`)
    if (token.mirrors !== 1)
      finds(
        token.mirrors === 0 ? 'lost' : 'doubled',
        `Token ${token.id} was sent to the vault by ${token.mirrors} operations`,
      )
  }
  const known = new Set(tokens.map(({ id }) => id))
  for (const id of issued.keys())
    if (!known.has(id)) finds('lost', `Token ${id} was issued, and there is no such token`)
  for (const id of standing) if (!known.has(id)) finds('lost', `Token ${id} of the beginning is gone`)

  // What was budgeted counts against its voice once, whatever happened on the way.
  const budgeted = [...issued.values()].reduce((sum, { budget }) => sum + budget, 0)
  const { rows } = await pool.query(
    `select coalesce(sum(used), 0)::text as used from voice_allowance where length(period) = 7`,
  )
  if (Number(rows[0].used) !== budgeted)
    finds('books', `Voices have used up ${rows[0].used} of their allowances for tokens of ${budgeted}`)

  // Verification is a read, and is asked again when an answer was lost: at least once for each decision is all that can be
  // said, and that nobody decides unasked.
  let verifies = 0
  await each([...asked], async ([voice, due]) => {
    const calls = await json(`${sandbox.voiceUrl}/_calls/${encodeURIComponent(voice)}`)
    verifies += Number(calls.verifies)
    if (Number(calls.verifies) < due.inAll)
      finds('outside', `Voice ${voice} was verified ${calls.verifies} times for ${due.inAll} decisions`)
    if (Number(calls.limits) < due.verified)
      finds('outside', `The limits of voice ${voice} were asked ${calls.limits} times for ${due.verified} decisions`)
  })
  await each([...issued], async ([id, issue]) => {
    const { data } = await json(`${sandbox.vaultUrl}/v1/secret/data/tokens/${id}`, { 'x-vault-token': 'sandbox' })
    const record = (data as { data?: { budget?: unknown; voice_id?: unknown } } | undefined)?.data
    if (record?.budget !== issue.budget || record.voice_id !== issue.voice)
      finds('outside', `The vault has ${JSON.stringify(record)} of token ${id}`)
  })

  const decisions = [...asked.values()].reduce((sum, { inAll }) => sum + inAll, 0)
  return { findings, figures: { tokensIssued: issued.size, voicesVerified: verifies, voiceDecisions: decisions } }
}

const isFinal = ({ status }: OperationRow): boolean => status === 'succeeded' || status === 'failed'

interface Deed {
  readonly token: string
  readonly voice: string
  readonly amount: number
  /** How it may end: `succeeded`, or the code of a refusal that it can have deserved. */
  readonly ends: readonly string[]
}

/** What may become of a wish, whatever happens on the way. */
function deedOf({ kind, path, body }: Told, standing: ReadonlySet<string>): Deed {
  const { voice_id: voice = '', budget, amount = 0 } = (body ?? {}) as Partial<Record<string, never>>
  if (kind === issueToken.name) return { token: '', voice, amount: budget ?? 0, ends: endsOfIssue(voice) }
  const token = path.split('/')[2] ?? ''
  if (!standing.has(token)) return { token, voice, amount, ends: ['succeeded', 'token.insufficient', 'token.revoked'] }
  return { token, voice, amount, ends: amount > STANDING_BUDGET ? ['token.insufficient'] : ['succeeded'] }
}

function endsOfIssue(voice: string): string[] {
  if (voice.startsWith('reject_')) return ['token.voiceRejected']
  if (voice.startsWith('modest_')) return ['token.overTransactionLimit']
  return ['succeeded']
}

async function operationsOf({ pool }: Evidence): Promise<Map<string, OperationRow>> {
  const { rows } = await pool.query<OperationRow>(
    `select operation.id, kind, status, error->>'code' as code, result,
       coalesce(json_agg(json_build_object('id', transfer.id, 'movement', movement, 'amount', amount,
         'debit', debit_id, 'credit', credit_id)) filter (where transfer.id is not null), '[]') as transfers
     from operation left join transfer on transfer.operation_id = operation.id
     where kind = any($1) group by operation.id`,
    [[issueToken.name, deductToken.name, revokeToken.name]],
  )
  return new Map(rows.map((row) => [row.id, row]))
}

async function tokensOf({ pool }: Evidence): Promise<TokenRow[]> {
  const { rows } = await pool.query<TokenRow>(
    `select token.id, token.operation_id, token.status, budget, account_id, balance, coalesce(mirrors, 0)::int as mirrors
     from token
     left join account on account.id = account_id
     left join (
       select input->>'token_id' as token_id, count(*) as mirrors from operation where kind = $1 group by 1
     ) mirrored on mirrored.token_id = token.id::text`,
    [mirrorToken.name],
  )
  return rows
}

const add = (sums: Map<string, number>, name: string, amount: number) =>
  void sums.set(name, (sums.get(name) ?? 0) + amount)

async function each<T>(list: T[], work: (one: T) => Promise<void>): Promise<void> {
  const next = list.values()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const one of next) await work(one)
    }),
  )
}

async function json(url: string, headers: Record<string, string> = {}): Promise<Record<string, unknown>> {
  return (await (await fetch(url, { headers })).json()) as Record<string, unknown>
}
