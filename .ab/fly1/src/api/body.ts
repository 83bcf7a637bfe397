import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import { doorRefusals } from './door-refusals.ts'
import type { Problem } from './errors.ts'
import { silentProblems } from './json-text.ts'
import { rawCardPath } from './raw-card.ts'
import { headerOf, incomingOf } from './reply.ts'

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
  const text = textOf(await rawBody(c))
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

/** Read from Node's stream itself: a web stream in between cost more than the parsing. */
export async function rawBody(c: Context): Promise<Buffer> {
  // A body of stated length cannot be longer than it says; only one without has to be counted while it is read.
  if (Number(headerOf(c, 'content-length') ?? 0) > MAX_BODY_BYTES) throw tooLarge()
  const incoming = incomingOf(c)
  return incoming === undefined ? Buffer.from(await c.req.arrayBuffer()) : collected(incoming)
}

function collected(incoming: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // The caller went away in the middle. Nobody will read the answer, but it is no trouble of ours.
    const brokenOff = () => reject(doorRefusals.incomplete())
    if (incoming.destroyed) return brokenOff()
    const chunks: Buffer[] = []
    let size = 0
    const take = (chunk: Buffer) => {
      size += chunk.length
      chunks.push(chunk)
      if (size <= MAX_BODY_BYTES) return
      incoming.off('data', take).pause()
      reject(tooLarge())
    }
    incoming.on('data', take)
    incoming.on('end', () => resolve(Buffer.concat(chunks)))
    incoming.on('error', brokenOff)
    incoming.on('close', () => {
      if (!incoming.readableEnded) brokenOff()
    })
  })
}

/** Bytes that are no UTF-8 are refused, not replaced; a byte order mark stays, and is no JSON. */
function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw doorRefusals.malformedJson()
  return bytes.toString('utf8')
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
