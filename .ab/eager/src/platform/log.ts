import { type DestinationStream, destination, type Logger, pino } from 'pino'

export type Log = Logger

/** Fields that never belong in a log. Code that logs them is wrong; this is the net under it. */
const HIDDEN =
  /^(authorization|proxy-authorization|cookie|set-cookie|x-api-key|.*password|.*passphrase|.*secret|.*token|token_?id|.*api_?key|jwt|.*voice_?id|card|card_?number|pan|cvv|cvc|iban|account_?number|bank_?account|body|raw_?body)$/i

/** The same for what a child logger is bound to, which pino shows to no formatter: whole fields, by their exact names. */
const HIDDEN_BINDINGS = [
  ...['authorization', 'cookie', 'password', 'secret', 'token', 'token_id', 'tokenId', 'voice_id', 'voiceId'],
  ...['card', 'card_number', 'cardNumber', 'body'],
]

/** Deeper than anything that we log on purpose. */
const DEEPEST = 6

/** An error caused by an error and so on: further links say nothing new. */
const MOST_CAUSES = 4

/** JSON lines with ISO times. Errors and fields are cut down to what may be read by everybody who reads logs. */
export function makeLog(options: { level: string; destination?: NodeJS.WritableStream }): Log {
  const settings = {
    level: options.level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: safeFields,
    },
    redact: { paths: HIDDEN_BINDINGS, censor: '<redacted>' },
    // The fields are safe by the time that a serializer sees them; pino's own would look for more in them.
    serializers: { err: (error: unknown) => error },
  }
  return pino(settings, options.destination ?? gathered())
}

/** Characters gathered before they are written: a write for each line would be the dearest part of a log. */
const GATHERED = 8_192

/** However few there are, lines are written after this many milliseconds, and when the process ends. */
const WRITTEN_EVERY_MS = 100

function gathered(): DestinationStream {
  const output = destination({ dest: 1, sync: true })
  let lines = ''
  const write = () => {
    if (lines !== '') output.write(lines)
    lines = ''
  }
  setInterval(write, WRITTEN_EVERY_MS).unref()
  process.once('exit', () => {
    write()
    output.flushSync()
  })
  return {
    write(line) {
      lines += line
      if (lines.length >= GATHERED) write()
    },
  }
}

function safeFields(fields: Record<string, unknown>): Record<string, unknown> {
  return safeObject(fields, 1)
}

function safeObject(fields: object, depth: number): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields))
    shown[name] = isHidden(name) && value !== undefined ? '<redacted>' : safe(value, depth)
  return shown
}

/** Names come from our own code, so there are few of them; asking the pattern once for each makes a line half as dear. */
const MAX_NAMES = 1_000
const known = new Map<string, boolean>()

function isHidden(name: string): boolean {
  let hidden = known.get(name)
  if (hidden === undefined) {
    hidden = HIDDEN.test(name)
    if (known.size < MAX_NAMES) known.set(name, hidden)
  }
  return hidden
}

function safe(value: unknown, depth: number): unknown {
  if (value instanceof Error) return plainError(value, MOST_CAUSES)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  // Secrets, dates and the like know how they want to be printed.
  if ('toJSON' in value && typeof value.toJSON === 'function') return value
  if (depth >= DEEPEST) return '<too deep>'
  if (Array.isArray(value)) return value.map((item) => safe(item, depth + 1))
  return safeObject(value, depth + 1)
}

/** Not `detail`, `where` or parameters, in which PostgreSQL quotes the values of rows, nor anything else hung on an error. */
function plainError(error: Error, causes: number): Record<string, unknown> {
  const { code } = error as { code?: unknown }
  return {
    type: error.name,
    message: error.message,
    stack: error.stack,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(error.cause instanceof Error && causes > 1 ? { cause: plainError(error.cause, causes - 1) } : {}),
    ...(error instanceof AggregateError
      ? { errors: error.errors.filter((inner) => inner instanceof Error).map((inner) => plainError(inner, 1)) }
      : {}),
  }
}
