import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentProblems } from '../src/api/json-text.ts'
import { type Answer, Deployment } from './support/deployment.ts'

let bursar: Deployment
let token: string

beforeAll(async () => {
  bursar = await Deployment.start({ env: { LOG_LEVEL: 'trace' } })
  token = await bursar.issue(100)
})
afterAll(() => bursar.stop())

const deduct = (body: string | Uint8Array<ArrayBuffer>) => send(`/token/${token}/deduct`, body)

async function send(path: string, body: string | Uint8Array<ArrayBuffer>): Promise<Answer> {
  const response = await fetch(`${bursar.door.url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body,
  })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

/** Everything that a request could have changed. */
async function everything(): Promise<unknown> {
  await bursar.quiet()
  const { rows } = await bursar.pool.query(
    `select (select count(*) from operation) as operations, (select count(*) from transfer) as transfers,
            (select count(*) from token) as tokens, (select count(*) from idempotency_key) as keys,
            (select sum(balance) from account where floor is not null) as balances`,
  )
  return rows[0]
}

const nested = (depth: number, open: string, inside: string, close: string) =>
  open.repeat(depth) + inside + close.repeat(depth)

describe('A body with something that JSON carries and we do not', () => {
  const problems: [what: string, body: string, status: number, says: string | RegExp][] = [
    ['a NUL', '{"amount":1,"description":"a\\u0000b"}', 422, 'unstorable_text'],
    ['a NUL in a name', '{"amount":1,"a\\u0000b":1}', 422, 'unstorable_text'],
    ['half a surrogate pair', '{"amount":1,"description":"\\ud83d"}', 422, 'unstorable_text'],
    ['a surrogate pair the wrong way round', '{"amount":1,"description":"\\ude00\\ud83d"}', 422, 'unstorable_text'],
    ['a field that comes twice', '{"amount":1,"amount":100}', 422, 'duplicate_name'],
    ['a field that comes twice, once escaped', '{"amount":1,"\\u0061mount":100}', 422, 'duplicate_name'],
    ['a field that comes twice inside', '{"amount":1,"more":[{"a":1},{"a":1,"b":2,"a":3}]}', 422, 'duplicate_name'],
    ['__proto__', '{"amount":1,"__proto__":{"amount":100}}', 422, 'reserved_name'],
    ['__proto__ inside', '{"amount":1,"more":{"__proto__":{"isAdmin":true}}}', 422, 'reserved_name'],
    ['constructor', '{"amount":1,"constructor":{"prototype":{"isAdmin":true}}}', 422, 'reserved_name'],
    ['a number with too many digits', '{"amount":9007199254740993}', 422, 'imprecise_number'],
    ['a number with too many decimals', '{"amount":1.00000000000000001}', 422, 'imprecise_number'],
    ['a number that becomes nothing', '{"amount":1e-400}', 422, 'imprecise_number'],
    ['a number that becomes endless', '{"amount":1e400}', 422, 'imprecise_number'],
    [
      'a huge number in a field that nobody reads',
      '{"amount":1,"x":123456789012345678901234567890}',
      422,
      'imprecise_number',
    ],
    ['the largest double', '{"amount":1.7976931348623157e308}', 422, 'body.amount'],
    ['a list', '[{"amount":1}]', 422, 'Send one JSON object'],
    ['a text', '"amount"', 422, 'Send one JSON object'],
    ['a number', '1', 422, 'Send one JSON object'],
    ['nothing', 'null', 422, 'Send one JSON object'],
    ['an empty body', '', 400, 'not valid JSON'],
    ['a byte order mark', '\ufeff{"amount":1}', 400, 'not valid JSON'],
    ['a comment', '{"amount":1/* one */}', 400, 'not valid JSON'],
    ['two objects', '{"amount":1}{"amount":2}', 400, 'not valid JSON'],
    ['NaN', '{"amount":NaN}', 400, 'not valid JSON'],
    ['65 levels', `{"amount":1,"x":${nested(64, '[', '1', ']')}}`, 400, 'nests deeper'],
    ['100,000 levels of lists', nested(100_000, '[', '', ']'), 400, 'nests deeper'],
    ['100,000 levels of objects', nested(100_000, '{"a":', '1', '}'), 400, 'nests deeper'],
    ['100,000 levels and a long number', nested(100_000, '[', '12345678901234567890', ']'), 400, 'nests deeper'],
    ['100,000 levels and an escape', nested(100_000, '[', '"\\u0000"', ']'), 400, 'nests deeper'],
    ['100,000 levels, never closed', '['.repeat(100_000), 400, 'not valid JSON'],
  ]

  test.each(problems)('%s: refused with a reason, and nothing changes', async (_, body, status, says) => {
    const before = await everything()
    const answer = await deduct(body)
    expect(answer.status).toBe(status)
    const { detail, message } = answer.body
    const said =
      typeof detail === 'string'
        ? message
        : detail
            .map((one: { loc: string[]; msg: string; type: string }) => `${one.loc.join('.')} ${one.type} ${one.msg}`)
            .join('\n')
    expect(said).toContain(says)
    expect(await everything()).toEqual(before)
  })

  test.each([
    ['half a letter', [0x7b, 0x22, 0xc3, 0x22, 0x3a, 0x31, 0x7d]],
    ['UTF-16', [...Buffer.from('{"amount":1}', 'utf16le')]],
    ['a surrogate in UTF-8', [...Buffer.from('{"amount":1,"description":"'), 0xed, 0xa0, 0x80, 0x22, 0x7d]],
  ])('%s: refused, not replaced by something else', async (_, bytes) => {
    const { status, body } = await deduct(Uint8Array.from(bytes))
    expect([status, body.code]).toEqual([400, 'request.malformedJson'])
  })

  test('says where each problem is', async () => {
    const { body } = await deduct('{"amount":1,"a":[0,{"b":"\\u0000"}],"a":12345678901234567890}')
    expect(body.detail).toEqual([
      { loc: ['body', 'a', 1, 'b'], msg: expect.any(String), type: 'unstorable_text' },
      { loc: ['body', 'a'], msg: expect.any(String), type: 'duplicate_name' },
      { loc: ['body', 'a'], msg: expect.any(String), type: 'imprecise_number' },
    ])
  })

  test('does not list more problems than anybody reads', () => {
    const body = `{${Array.from({ length: 10_000 }, (_, n) => `"a${n}":"\\u0000"`).join(',')}}`
    expect(silentProblems(body)).toHaveLength(100)
  })

  test('costs no more than a moment, however it is made', () => {
    const startedAt = performance.now()
    silentProblems(`{"a":"${'\\\\'.repeat(500_000)}"}`)
    silentProblems(`[${'1,'.repeat(500_000)}1]`)
    silentProblems(`[${'"",'.repeat(300_000)}""]`)
    silentProblems(`{"a":${'9'.repeat(1_000_000)}}`)
    expect(performance.now() - startedAt).toBeLessThan(3_000)
  })
})

describe('A body that only looks strange', () => {
  test.each([
    ['spaces everywhere', ' \r\n\t{ "amount" :\t1 , "description" : "a : b , \\" { [" }\n '],
    ['escapes', '{"\\u0061mount":1,"description":"\\ud83d\\ude00 \\\\ \\/ \\n"}'],
    ['an exponent', '{"amount":1e0}'],
    ['a fraction of nothing', '{"amount":1.0}'],
    [
      'long numbers that a double holds',
      '{"amount":1,"x":[0.1234567890123456,-12345678901234567000,1e300,0.000e0,-0]}',
    ],
    ['64 levels', `{"amount":1,"x":${nested(63, '[', '1', ']')}}`],
    ['fields that nobody knows', '{"amount":1,"toString":1,"hasOwnProperty":2,"":3}'],
  ])('%s: taken', async (_, body) => {
    const before = await bursar.balance(token)
    expect((await deduct(body)).status).toBe(202)
    await bursar.quiet()
    expect(await bursar.balance(token)).toBe(before - 1)
  })

  test('text of any language is kept as it was sent', async () => {
    const description = 'Grüße 🦄 \u200f‮ ﷽ \u007f'
    await bursar.do('POST', `/token/${token}/deduct`, { amount: 1, description })
    const { body } = await bursar.get(`/token/${token}/transactions`)
    expect(body.transactions[0].description).toBe(description)
  })
})

describe('A card number', () => {
  const CARD = '4242424242424242'
  const places: [where: string, body: string, path: string][] = [
    ['in a field', `{"budget":1,"voice_id":"${CARD}"}`, 'voice_id'],
    ['in a field that nobody reads', `{"budget":1,"voice_id":"a","card":{"number":"${CARD}"}}`, 'card.number'],
    ['deep inside', `{"budget":1,"voice_id":"a","x":[1,{"y":[null,"${CARD}"]}]}`, 'x.1.y.1'],
    ['as a number', `{"budget":${CARD},"voice_id":"a"}`, 'budget'],
    ['as the name of a field', `{"budget":1,"voice_id":"a","${CARD}":1}`, '<card number>'],
    ['inside a text', `{"budget":1,"voice_id":"my card is 4242 4242 4242 4242, thanks"}`, 'voice_id'],
    ['escaped', '{"budget":1,"voice_id":"4242\\u003424242424242"}', 'voice_id'],
    ['beside other problems', `{"budget":-1,"voice_id":"","__proto__":"${CARD}"}`, '__proto__'],
    ['in a list at the top', `["${CARD}"]`, '0'],
  ]

  /** Every place in the database that could hold text. */
  async function foundInDatabase(text: string): Promise<string[]> {
    const { rows } = await bursar.pool.query(
      `select table_schema as schema, table_name as name from information_schema.tables
       where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`,
    )
    const found: string[] = []
    for (const { schema, name } of rows) {
      const held = await bursar.pool.query(`select 1 from "${schema}"."${name}" t where t::text like $1 limit 1`, [
        `%${text}%`,
      ])
      if (held.rows.length > 0) found.push(`${schema}.${name}`)
    }
    return found
  }

  test.each(places)('%s is refused, and is in no answer, table or log', async (_, body, path) => {
    const before = await everything()
    const answer = await send('/token', body)
    expect([answer.status, answer.body.error, answer.body.code]).toEqual([422, 'RawCardData', 'request.rawCardData'])
    expect(answer.body.message).toContain(`«${path}»`)
    expect(await everything()).toEqual(before)
    for (const text of [CARD, '4242 4242 4242 4242']) {
      expect(JSON.stringify(answer.body)).not.toContain(text)
      expect(await foundInDatabase(text)).toEqual([])
      expect(bursar.logged.join('')).not.toContain(text)
    }
  })

  test('the search finds what is there', async () => {
    await bursar.do('POST', `/token/${token}/deduct`, { amount: 1, description: 'a-needle-in-the-books' })
    expect(await foundInDatabase('a-needle-in-the-books')).toContain('public.transfer')
  })

  test('what is no card number is taken', async () => {
    const { status } = await send('/token', '{"budget":1,"voice_id":"4242424242424241"}')
    expect(status).toBe(202)
  })
})
