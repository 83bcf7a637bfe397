import { Redis } from 'ioredis'
import type pg from 'pg'

/** Places where something may have been written, by name, with all that is written there. */
export type Haystacks = Record<string, string>

/** Every row of every table of a database, whoever's schema it is in: text as it is, bytes as hex digits. */
export async function everyColumn(pool: pg.Pool): Promise<Haystacks> {
  const { rows: tables } = await pool.query(
    `select table_schema || '.' || table_name as title, format('%I.%I', table_schema, table_name) as name
     from information_schema.tables
     where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`,
  )
  const found: Haystacks = {}
  for (const { title, name } of tables) {
    const { rows } = await pool.query(`select t::text as row from ${name} t`)
    found[title] = rows.map(({ row }) => row).join('\n')
  }
  return found
}

/** Everything in a Redis, under whatever kind of key. */
export async function everyKey(url: string): Promise<Haystacks> {
  const redis = new Redis(url)
  try {
    const texts: string[] = []
    for (const key of await redis.keys('*')) {
      const read: Record<string, () => Promise<unknown>> = {
        string: () => redis.get(key),
        hash: () => redis.hgetall(key),
        list: () => redis.lrange(key, 0, -1),
        set: () => redis.smembers(key),
        zset: () => redis.zrange(key, '0', '-1'),
        stream: () => redis.xrange(key, '-', '+'),
      }
      texts.push(key, JSON.stringify(await read[await redis.type(key)]?.()))
    }
    return { redis: texts.join('\n') }
  } finally {
    redis.disconnect()
  }
}

/** The ways in which a text may be written where nobody would see it at once. */
export function formsOf(needle: string): string[] {
  const bytes = Buffer.from(needle)
  return [
    needle,
    JSON.stringify(needle).slice(1, -1),
    encodeURIComponent(needle),
    bytes.toString('hex'),
    // A text in base64 looks different by where in its three bytes it begins; its edges belong to its neighbours.
    ...[0, 1, 2].flatMap((skipped) => {
      const base64 = bytes.subarray(skipped, bytes.length - ((bytes.length - skipped) % 3)).toString('base64')
      return [base64, base64.replaceAll('+', '-').replaceAll('/', '_')]
    }),
  ]
}

/** Where each needle lies, as «needle in place»; needles are told by their names. */
export function foundIn(haystacks: Haystacks, needles: Readonly<Record<string, string>>): string[] {
  const places = Object.entries(haystacks).map(([place, text]) => [place, text.toLowerCase()] as const)
  return Object.entries(needles).flatMap(([name, needle]) => {
    const forms = [...new Set(formsOf(needle).map((form) => form.toLowerCase()))]
    return places
      .filter(([, text]) => forms.some((form) => text.includes(form)))
      .map(([place]) => `${name} in ${place}`)
  })
}
