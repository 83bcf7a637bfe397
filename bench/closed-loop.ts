import { connect, type Socket } from 'node:net'
import { percentile } from './findings.ts'

/** So many requests; each connection sends its next one when the one before is answered. */
export interface ClosedLoop {
  /** Of one server, or of several that do the same: connections are spread over them. */
  readonly urls: readonly string[]
  readonly connections: number
  /** In all. A load that was ended by the clock would leave requests that are carried out, but not counted. */
  readonly requests: number
  /** The bytes of a connection's next request: `rawRequest` makes them. Undefined when it has sent its share. */
  next(connection: number): Buffer | undefined
}

export interface LoopReport {
  /** With a status below 300. */
  readonly answered: number
  readonly refused: number
  /** Unix milliseconds of the first request and the last answer. */
  readonly startedAt: number
  readonly endedAt: number
  readonly p50: number
  readonly p99: number
}

/** Longer than any answer of a working server takes. */
const SILENCE_MS = 60_000

/** Larger than any answer to a submission. */
const READ_BYTES = 16_384

export function rawRequest(path: string, headers: Readonly<Record<string, string>>, body: string): Buffer {
  const lines = Object.entries({ host: 'bench', 'content-type': 'application/json', ...headers })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
}

/**
 * Sends and counts, and reads no more of an answer than its status and its length: the load shares the machine with what it
 * measures, and a client library took more of it than the bare route does.
 */
export async function closedLoop({ urls, connections, requests, next }: ClosedLoop): Promise<LoopReport> {
  const took = new Float64Array(requests)
  let sent = 0
  let settled = 0
  let refused = 0
  const { promise: finished, resolve: finish, reject: fail } = Promise.withResolvers<void>()
  // One that fails while others still connect is heard of below.
  finished.catch(() => {})
  const silence = setTimeout(() => fail(new Error(`No answer for ${SILENCE_MS / 1_000} s`)), SILENCE_MS)

  const open = (connection: number): Promise<{ socket: Socket; send(): void }> =>
    new Promise((resolve) => {
      let sentAt = 0
      let unread: Buffer | undefined
      const send = () => {
        const request = sent === requests ? undefined : next(connection)
        if (request === undefined) return
        sent += 1
        sentAt = performance.now()
        socket.write(request)
      }
      const take = (size: number, buffer: Uint8Array): boolean => {
        const read = Buffer.from(buffer.buffer, buffer.byteOffset, size)
        const bytes = unread === undefined ? read : Buffer.concat([unread, read])
        const status = statusOf(bytes)
        // A copy: what is read next is read into the same bytes.
        unread = status === undefined ? Buffer.from(bytes) : undefined
        if (status === undefined) return true
        took[settled++] = performance.now() - sentAt
        if (status >= 300) refused += 1
        if (settled === requests) finish()
        else send()
        silence.refresh()
        return true
      }
      const { hostname, port } = new URL(urls[connection % urls.length] ?? '')
      const onread = { buffer: Buffer.alloc(READ_BYTES), callback: take }
      const socket = connect({ host: hostname, port: Number(port), noDelay: true, onread })
      socket.once('connect', () => resolve({ socket, send }))
      socket.once('error', fail)
      socket.once('close', () => fail(new Error('The server has closed a connection')))
    })

  const opened = await Promise.race([
    Promise.all(Array.from({ length: connections }, (_, connection) => open(connection))),
    finished.then(() => []),
  ])
  const startedAt = Date.now()
  for (const { send } of opened) send()
  await finished
  const endedAt = Date.now()
  clearTimeout(silence)
  for (const { socket } of opened) socket.destroy()
  const all = [...took]
  const [p50, p99] = [tenths(percentile(all, 0.5)), tenths(percentile(all, 0.99))]
  return { answered: settled - refused, refused, startedAt, endedAt, p50, p99 }
}

/** The status of an answer that is there as a whole; undefined while some of it is on its way. */
function statusOf(bytes: Buffer): number | undefined {
  const head = bytes.indexOf('\r\n\r\n')
  if (head < 0) return undefined
  const text = bytes.toString('latin1', 0, head)
  const length = /^content-length: (\d+)/im.exec(text)?.[1]
  if (length === undefined) throw new Error(`An answer does not say how long it is:\n${text}`)
  return bytes.length < head + 4 + Number(length) ? undefined : Number(text.slice(9, 12))
}

/** In milliseconds, with one digit after the point. */
const tenths = (ms: number): number => Math.round(ms * 10) / 10
