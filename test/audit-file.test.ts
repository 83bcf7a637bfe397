import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { isBehind, type LineFile, writeOut } from '../src/domain/audit/file.ts'
import { recordAudit, recordSecurity } from '../src/domain/audit/record.ts'
import { sealEvents } from '../src/domain/audit/seal.ts'
import { isFault } from '../src/kit/fault.ts'
import { inTransaction, sqlOf } from '../src/platform/database.ts'
import { lineFile } from '../src/platform/line-file.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'
import { OPERATOR } from './support/tokens.ts'
import { Wallets } from './support/wallets.ts'

const folder = mkdtempSync(join(tmpdir(), 'bursar-audit-'))
let database: TestDatabase
let path: string
let file: LineFile
let files = 0

beforeEach(async () => {
  await database?.drop()
  database = await freshDatabase()
  files += 1
  path = join(folder, `${files}.log`)
  file = lineFile(path)
})
afterAll(async () => {
  await database.drop()
  rmSync(folder, { recursive: true })
})

const NOON = new Date('2026-11-20T12:00:00Z')

async function happen(...users: string[]): Promise<void> {
  for (const userId of users)
    await inTransaction(database.pool, (sql) => recordAudit({ sql, now: NOON }, { type: 'kyc_changed', userId }))
}

const sealNow = () => inTransaction(database.pool, (sql) => sealEvents(sql, { now: new Date(), lagMs: -5 }))
const write = () => inTransaction(database.pool, (sql) => writeOut(sql, file))

/** Writes, and dies before the commit. */
async function writeAndDie(): Promise<void> {
  const dying = inTransaction(database.pool, async (sql) => {
    await writeOut(sql, file)
    throw new Error('killed')
  })
  await expect(dying).rejects.toThrow('killed')
}

const lines = (of = path): { user_id: string }[] =>
  readFileSync(of, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
const users = (of = path): string[] => lines(of).map(({ user_id }) => user_id)

describe('the audit log’s file', () => {
  test('gets sealed events, in order and once, in the documented fields', async () => {
    await happen('a', 'b')
    await inTransaction(database.pool, (sql) =>
      recordSecurity({ sql, now: NOON }, { type: 'webhook_forged', indicators: ['forged'], action: 'rejected' }),
    )
    expect(await write()).toEqual({ lines: 0, more: false })
    await sealNow()
    await happen('not sealed yet')
    expect(await write()).toEqual({ lines: 3, more: false })
    expect(await write()).toEqual({ lines: 0, more: false })
    const [first, , third] = lines()
    expect(Object.keys(first ?? {})).toEqual([
      ...[
        'timestamp',
        'event_type',
        'user_id',
        'transaction_id',
        'amount',
        'currency',
        'gateway',
        'ip_address',
        'audit_hash',
      ],
    ])
    expect(Object.keys(third ?? {})).toEqual([
      ...['timestamp', 'event_type', 'user_id', 'indicators', 'ip_address', 'action_taken'],
    ])
    expect(users()).toEqual(['a', 'b', null])
  })

  test('has no line twice when a worker died after it had written', async () => {
    await happen('a', 'b')
    await sealNow()
    await writeAndDie()
    expect(users()).toEqual(['a', 'b'])
    await happen('c')
    await sealNow()
    await write()
    expect(users()).toEqual(['a', 'b', 'c'])
    await writeAndDie()
    await write()
    expect(users()).toEqual(['a', 'b', 'c'])
  })

  test('has no half line when a worker died in the middle of one', async () => {
    await happen('a', 'b', 'c')
    await sealNow()
    await writeAndDie()
    const whole = readFileSync(path)
    for (const bytes of [1, Math.floor(whole.length / 2), whole.length - 1]) {
      truncateSync(path, bytes)
      await writeAndDie()
      expect(readFileSync(path).equals(whole), `after ${bytes} bytes`).toBe(true)
    }
    await write()
    expect(users()).toEqual(['a', 'b', 'c'])
  })

  test('may be rotated: what was written stays where it is, and the new one goes on', async () => {
    await happen('a', 'b')
    await sealNow()
    await write()
    renameSync(path, `${path}.1`)
    await happen('c')
    await sealNow()
    await write()
    expect([users(`${path}.1`), users()]).toEqual([['a', 'b'], ['c']])
    truncateSync(path, 0)
    await happen('d', 'e')
    await sealNow()
    await writeAndDie()
    await write()
    expect(users()).toEqual(['d', 'e'])
  })

  test('keeps what somebody else wrote into it', async () => {
    writeFileSync(path, `${JSON.stringify({ user_id: 'older' })}\n`)
    await happen('a')
    await sealNow()
    await write()
    appendFileSync(path, `${JSON.stringify({ user_id: 'stranger' })}\n`)
    await happen('b')
    await sealNow()
    await write()
    expect(users()).toEqual(['older', 'a', 'stranger', 'b'])

    appendFileSync(path, JSON.stringify({ user_id: 'half a line' }))
    await happen('c', 'd')
    await sealNow()
    await writeAndDie()
    await write()
    expect(users()).toEqual(['older', 'a', 'stranger', 'b', 'half a line', 'c', 'd'])
  })

  test('is written by one of many at a time', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `user_${index}`)
    for (const name of names) {
      await happen(name)
      if (name.endsWith('9')) {
        await sealNow()
        await Promise.all([write(), write(), write(), write()])
      }
    }
    expect(users()).toEqual(names)
  })

  test('that cannot be written is a fault that names it, and the events wait', async () => {
    await happen('a')
    await sealNow()
    const missing = lineFile(join(folder, 'nowhere', 'audit.log'))
    const failing = inTransaction(database.pool, (sql) => writeOut(sql, missing))
    await expect(failing).rejects.toThrow('nowhere/audit.log cannot be written (ENOENT)')
    await failing.catch((error) => expect(isFault(error)).toBe(true))
    expect(await isBehind(sqlOf(database.pool), missing.path)).toBe(true)
    await write()
    expect(await isBehind(sqlOf(database.pool), path)).toBe(false)
    expect(users()).toEqual(['a'])
  })
})

test('with AUDIT_LOG_FILE the worker that seals has the sealed events appended there', async () => {
  const wallets = await Wallets.start({ env: { AUDIT_LOG_FILE: path } })
  try {
    const user = wallets.user()
    await wallets.addMethod(user, 'mock', 'mock_card')
    await inTransaction(wallets.bursar.pool, (sql) => sealEvents(sql, { now: new Date(), lagMs: -5 }))
    const period = wallets.bursar.clock.now().toISOString()
    expect(await wallets.ours('audit.seal', { period })).toMatchObject({ status: 'succeeded', result: { blocks: 0 } })
    expect(users()).toEqual([user])
    const { body } = await wallets.bursar.get('/api/v1/audit', OPERATOR)
    expect(lines()).toEqual(body.events)
    // Nothing new: nothing is asked for.
    await wallets.ours('audit.seal', { period })
    expect(await wallets.bursar.statuses('audit.write')).toEqual({ succeeded: 1 })
  } finally {
    await wallets.stop()
  }
})
