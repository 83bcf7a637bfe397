import type { Context } from 'hono'
import { doorRefusals } from './door-refusals.ts'
import type { Problem } from './errors.ts'
import { silentProblems } from './json-text.ts'
import { rawCardPath } from './raw-card.ts'
import { headerOf } from './reply.ts'

/** Nothing that we are asked is near this size. */
export const MAX_BODY_BYTES = 1_048_576

export interface JsonBody {
  /** Empty where something else than an object was sent. */
  readonly fields: Readonly<Record<string, unknown>>
  /** What is wrong with the body whatever its schema says. */
  readonly problems: readonly Problem[]
}

/** The JSON body of a request. Refuses at once what is too large, too deep, not JSON, or holds a card number. */
export async function jsonBody(c: Context): Promise<JsonBody> {
  if (!isPlainJson(c)) throw doorRefusals.unsupportedMediaType()
  const text = textOf(await bodyBytes(c))
  const parsed = parse(text)
  const problems = silentProblems(text)
  if (problems === undefined) throw doorRefusals.tooDeep()
  const cardAt = rawCardPath(text, parsed)
  if (cardAt !== undefined) throw doorRefusals.rawCardData({ path: cardAt.join('.') })
  if (isObject(parsed)) return { fields: parsed, problems }
  return { fields: {}, problems: [{ loc: ['body'], msg: 'Send one JSON object', type: 'invalid_type' }, ...problems] }
}

const isPlainJson = (c: Context): boolean =>
  /^application\/json\s*(;|$)/i.test(headerOf(c, 'content-type') ?? '') &&
  /^(identity)?$/i.test(headerOf(c, 'content-encoding') ?? '')

const tooLarge = () => doorRefusals.tooLarge({ maxBytes: MAX_BODY_BYTES })

/** A body of stated length cannot be longer than it says; only one without is counted while it is read. */
async function bodyBytes(c: Context): Promise<ArrayBuffer | Uint8Array> {
  const stated = headerOf(c, 'content-length')
  if (stated !== undefined) {
    if (Number(stated) > MAX_BODY_BYTES) throw tooLarge()
    return c.req.arrayBuffer().catch(brokenOff)
  }
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = c.req.raw.body?.getReader()
  for (;;) {
    const { value } = (await reader?.read().catch(brokenOff)) ?? {}
    if (value === undefined) return Buffer.concat(chunks)
    size += value.byteLength
    if (size > MAX_BODY_BYTES) {
      await reader?.cancel().catch(() => {})
      throw tooLarge()
    }
    chunks.push(value)
  }
}

/** The caller went away in the middle. Nobody will read the answer, but it is no trouble of ours. */
function brokenOff(): never {
  throw doorRefusals.incomplete()
}

/** Bytes that are no UTF-8 are refused, not replaced; a byte order mark stays, and is no JSON. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function textOf(bytes: ArrayBuffer | Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw doorRefusals.malformedJson()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw doorRefusals.malformedJson()
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
