import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { customerPlace } from '../domain/billing/customer.ts'
import { sourcePlace } from '../domain/billing/payment.ts'
import { tokenPlace } from '../domain/payments/method.ts'
import { TOKEN_LIFETIME_SECONDS, voicePlace } from '../domain/tokens/token.ts'
import { rawPlace } from '../domain/webhooks/inbox.ts'
import { isKindName, kinds } from '../jobs/catalogue.ts'
import type { Kind } from '../jobs/kind.ts'
import { sealedPlace } from '../jobs/sealing.ts'
import { isFault } from '../kit/fault.ts'
import { Keyring } from '../kit/keyring.ts'
import { type Config, ConfigError, EXIT_CONFIG } from '../platform/config.ts'
import { inTransaction, openPool, sqlOf } from '../platform/database.ts'
import { configuration } from '../start/configuration.ts'
import { withDatabase } from './with-database.ts'

/** Rows in one transaction: a few milliseconds of sealing, and locks that nobody notices. */
const BATCH = 500

/** Before another look at rows that workers had locked. */
const HELD_MS = 200

/** Old operations are walked through to find the few that are sealed. */
const STATEMENT_MS = 3_600_000

/** One sealed value and where it opens. */
interface Sealed {
  readonly text: string
  readonly place: string
}

/** A row as it is read: its key, and a column's text, in which values are sealed. */
interface Row {
  readonly id: string
  readonly text: string
  readonly kind?: string
  readonly gateway?: string
  readonly event_id?: string
}

/** A column in which sealed values stand. */
interface Column {
  readonly table: string
  readonly name: string
  readonly key: { readonly name: string; readonly type: 'uuid' | 'text'; readonly first: string }
  /** Its text, in SQL, and the value that a text becomes. */
  readonly text: string
  readonly value: (text: string) => string
  /** Other columns that its places are made of. */
  readonly beside?: readonly string[]
  /** Rows in which something may be sealed with another key than $2. */
  readonly where: string
  sealed(row: Row): Sealed[]
}

const byId = { name: 'id', type: 'uuid', first: '00000000-0000-0000-0000-000000000000' } as const
const older = (text: string) => `${text} not like 'enc:' || $2 || ':%'`
const whole = (place: (row: Row) => string) => (row: Row) => [{ text: row.text, place: place(row) }]

/** Everything that is stored sealed. */
const columns: readonly Column[] = [
  {
    ...{ table: 'token', name: 'voice_id', key: byId, text: 'voice_id', value: (text) => text },
    where: older('voice_id'),
    sealed: whole(({ id }) => voicePlace(id)),
  },
  {
    ...{ table: 'payment_method', name: 'token', key: byId, text: 'token', value: (text) => text },
    where: older('token'),
    sealed: whole(({ id }) => tokenPlace(id)),
  },
  {
    ...{ table: 'webhook', name: 'raw', key: byId, beside: ['gateway', 'event_id'] },
    text: `convert_from(raw, 'UTF8')`,
    value: (text) => `convert_to(${text}, 'UTF8')`,
    where: older(`convert_from(raw, 'UTF8')`),
    sealed: whole(({ gateway = '', event_id = '' }) => rawPlace(gateway, event_id)),
  },
  ...(['input', 'result'] as const).map(
    (side): Column => ({
      ...{ table: 'operation', name: side, key: byId, beside: ['kind'] },
      text: `${side}::text`,
      value: (text) => `${text}::json`,
      where: `kind in (${kindsThatSeal(side)}) and replace(${side}::text, '"enc:' || $2 || ':', '') ~ '"enc:[0-9a-f]{8}:'`,
      sealed({ id, text, kind = '' }) {
        const body: Record<string, unknown> = JSON.parse(text)
        return fieldsOf(kind, side).flatMap((field) => {
          const value = body[field]
          return typeof value === 'string' ? [{ text: value, place: sealedPlace(id, side, field) }] : []
        })
      },
    }),
  ),
  ...(['email', 'address'] as const).map(
    (name): Column => ({
      ...{ table: 'billing_customer', name, key: { name: 'id', type: 'text', first: '' }, text: name },
      value: (text) => text,
      where: `${name} is not null and ${older(name)}`,
      sealed: whole(({ id }) => customerPlace(id, name)),
    }),
  ),
  {
    ...{ table: 'invoice_payment', name: 'source', key: byId, text: 'source', value: (text) => text },
    where: `source is not null and ${older('source')}`,
    sealed: whole(({ id }) => sourcePlace(id)),
  },
  {
    // Sealed anew at every start, too.
    ...{ table: 'sealed_key', name: 'value', key: { name: 'name', type: 'text', first: '' } },
    ...{ text: 'value', value: (text) => text },
    where: older('value'),
    sealed: whole(({ id }) => `sealed_key:${id}`),
  },
]

function fieldsOf(kind: string, side: 'input' | 'result'): readonly string[] {
  const declared: Kind | undefined = isKindName(kind) ? kinds[kind] : undefined
  return declared?.sensitive?.[side] ?? []
}

/** Names of ours, which stand in a statement as they are. */
function kindsThatSeal(side: 'input' | 'result'): string {
  const names = Object.keys(kinds).filter((name) => fieldsOf(name, side).length > 0)
  return names.map((name) => `'${name}'`).join(', ') || `''`
}

interface Counted {
  /** Rows that are sealed with the current key now. */
  readonly resealed: number
  /** Rows that somebody else wrote at that moment; another look finds them as they are then. */
  readonly passedOver: number
  /** Rows that no configured key opens, or that hold something else. */
  readonly unopened: number
}

/**
 * Seals anew, with the current key, everything that an older one has sealed; small statements that workers do not notice.
 * It may be stopped and started again at any time: what is done is passed over. Answers with the exit code: 1 when something
 * could not be opened, and the older keys must stay.
 */
export async function reencryptCommand(
  { encryption }: Pick<Config, 'encryption'>,
  url: string,
  print: (line: string) => void,
): Promise<number> {
  const keyring = new Keyring(encryption.current, encryption.previous)
  const pool = openPool({ url, name: 'bursar reencrypt', max: 1, statementTimeoutMs: STATEMENT_MS })
  try {
    print(`Sealing with key ${keyring.current.id} what was sealed with another`)
    let unopened = 0
    for (const column of columns) {
      const total = { resealed: 0, unopened: 0 }
      for (;;) {
        const round = await resealed(pool, keyring, column)
        total.resealed += round.resealed
        total.unopened = round.unopened
        if (round.passedOver === 0) break
        await pause(HELD_MS)
      }
      unopened += total.unopened
      const rest = total.unopened === 0 ? '' : `, ${total.unopened} CANNOT BE OPENED`
      print(`${`${column.table}.${column.name}`.padEnd(22)} ${String(total.resealed).padStart(10)} sealed anew${rest}`)
    }
    print('')
    if (unopened > 0) {
      print(
        `${unopened} rows are sealed with a key that is not configured here, or are damaged: keep every key that you have,`,
      )
      print('add the one that is missing to ENCRYPTION_KEY_PREVIOUS, and run this again.')
      return 1
    }
    print('Nothing is left that an older key has sealed. If every process has the new ENCRYPTION_KEY by now,')
    print(
      `ENCRYPTION_KEY_PREVIOUS may be removed ${TOKEN_LIFETIME_SECONDS / 60} minutes after the last one got it: signed tokens that were made before expire by then.`,
    )
    print('If some still had the old one while this ran, run it again once they have the new one.')
    return 0
  } finally {
    await pool.end()
  }
}

/** Once through a column. */
async function resealed(pool: pg.Pool, keyring: Keyring, column: Column): Promise<Counted> {
  const counted = { resealed: 0, passedOver: 0, unopened: 0 }
  const { table, key, text, beside = [], where } = column
  const read = `select ${[`${key.name}::text as id`, `${text} as text`, ...beside].join(', ')} from ${table}
    where ${key.name} > $1 and ${where} order by ${key.name} limit $3`
  let after = key.first
  for (;;) {
    const rows = await sqlOf(pool).query<Row>(read, [after, keyring.current.id, BATCH])
    const moves: Move[] = []
    for (const row of rows) {
      const anew = sealedAnew(keyring, row, column.sealed(row))
      if (anew === undefined) counted.unopened += 1
      else if (anew !== row.text) moves.push({ id: row.id, old: row.text, anew })
    }
    const written = await write(pool, column, moves)
    counted.resealed += written
    counted.passedOver += moves.length - written
    const last = rows.at(-1)
    if (last === undefined || rows.length < BATCH) return counted
    after = last.id
  }
}

interface Move {
  readonly id: string
  readonly old: string
  readonly anew: string
}

/** Passes over rows that a worker has locked, and such as were changed since they were read. Answers with how many it wrote. */
async function write(
  pool: pg.Pool,
  { table, name, key, text, value }: Column,
  moves: readonly Move[],
): Promise<number> {
  if (moves.length === 0) return 0
  return inTransaction(pool, async (sql) => {
    const free = await sql.query<{ id: string }>(
      `select ${key.name}::text as id from ${table} where ${key.name} = any($1::${key.type}[])
       order by ${key.name} for no key update skip locked`,
      [moves.map(({ id }) => id)],
    )
    const ids = new Set(free.map(({ id }) => id))
    const possible = moves.filter(({ id }) => ids.has(id))
    const written = await sql.query(
      `update ${table} set ${name} = ${value('move.anew')}
       from unnest($1::${key.type}[], $2::text[], $3::text[]) as move (row_key, old, anew)
       where ${table}.${key.name} = move.row_key and ${text} = move.old returning 1`,
      [possible.map(({ id }) => id), possible.map(({ old }) => old), possible.map(({ anew }) => anew)],
    )
    return written.length
  })
}

/** The row's text with every older value sealed anew, everything else byte for byte; undefined when one does not open. */
function sealedAnew(keyring: Keyring, { text }: Row, values: readonly Sealed[]): string | undefined {
  let anew = text
  for (const value of values) {
    if (!keyring.isSealed(value.text) || keyring.isCurrent(value.text)) continue
    const plain = opened(keyring, value)
    if (plain === undefined) return undefined
    anew = anew.replace(value.text, () => keyring.seal(plain, value.place))
  }
  return anew
}

function opened(keyring: Keyring, { text, place }: Sealed): string | undefined {
  try {
    return keyring.open(text, place)
  } catch (error) {
    // A key that is not configured, or a value that was changed or moved: the cipher notices.
    if (isFault(error) || isForged(error)) return undefined
    throw error
  }
}

const isForged = (error: unknown): boolean =>
  error instanceof Error && /unable to authenticate|Invalid authentication tag/i.test(error.message)

if (import.meta.main) {
  try {
    const config = await configuration()
    process.exitCode = await withDatabase(config, (url) =>
      reencryptCommand(config, url, (line) => void process.stdout.write(`${line}\n`)),
    )
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = EXIT_CONFIG
  }
}
