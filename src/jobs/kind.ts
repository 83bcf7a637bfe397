import type { z } from '@hono/zod-openapi'

/** Queues are named after what their work waits for, so that one's bad day does not delay another. */
export const queueNames = {
  /** Only our own database. */
  ledger: 'ledger',
  /** Somebody else's answer: gateways, the voice service. */
  gateways: 'gateways',
  /** Webhooks that came in: each is looked up at its gateway. */
  inbound: 'inbound',
  /** Somebody else's ear: what we send and nobody waits for, such as records to a vault. */
  outbound: 'outbound',
  /** Periodic work that fans out: its plans and its chunks, so that a month for everybody delays nobody's request. */
  runs: 'runs',
} as const

export type QueueName = keyof typeof queueNames

/** How often a fault is tried again: after `delayMs`, twice that, and so on up to `maxDelayMs`, with some jitter. */
export interface RetryPolicy {
  readonly attempts: number
  readonly delayMs: number
  readonly maxDelayMs: number
}

/** Our own database is back within minutes or a person is already looking: about four minutes of tries. */
export const LEDGER_RETRY: RetryPolicy = { attempts: 12, delayMs: 200, maxDelayMs: 30_000 }

/** Others may be away for an hour: tries for about two. */
export const GATEWAY_RETRY: RetryPolicy = { attempts: 20, delayMs: 1_000, maxDelayMs: 600_000 }

/** Large enough to make the price of a job and a commit disappear, small enough that one batch is decided in milliseconds. */
export const LEDGER_BATCH = 512

/** Something that can be asked for. Everything else (route, OpenAPI, dispatch, parsing, labels) derives from this. */
export interface Kind<
  Name extends string = string,
  Input extends z.ZodObject = z.ZodObject,
  Result extends z.ZodType = z.ZodType,
> {
  /** `noun.verb`, for ever: it stands in rows and in jobs. */
  readonly name: Name
  /** One sentence for the API's documentation and the board. */
  readonly doc: string
  readonly queue: QueueName
  readonly input: Input
  readonly result: Result
  readonly retry: RetryPolicy
  /** The most operations that travel in one job. */
  readonly batch: number
  /** How many operations an input counts for in a batch, where it can hold the work of many; 1 unless told. */
  readonly weigh?: (input: unknown) => number
  /** Fields that are sealed in the database and shown nowhere. */
  readonly sensitive?: { readonly input?: readonly string[]; readonly result?: readonly string[] }
  /** What the schema alone cannot say, of input that fits it: checked at the door, with every other problem. */
  readonly check?: (input: Readonly<Record<string, unknown>>) => readonly { field: string; message: string }[]
  /** Fields that the door fills in. They are not the caller's words, so a repeat is a repeat whatever they say. */
  readonly apart?: readonly string[]
  /** Codes that its outcome may carry, with their HTTP statuses. */
  readonly refusals?: { readonly [code: string]: number }
}

export const kind = <Name extends string, Input extends z.ZodObject, Result extends z.ZodType>(
  declaration: Kind<Name, Input, Result>,
): Kind<Name, Input, Result> => declaration

/** What a processor works with: parsed, branded. */
export type InputOf<K extends Kind> = z.output<K['input']>

/** What was sent, as it is stored: plain JSON. */
export type WireInputOf<K extends Kind> = z.input<K['input']>

/** The body that a caller gets. */
export type ResultOf<K extends Kind> = z.input<K['result']>
