import { connect, type Socket } from 'node:net'

/** An answer as it came over the wire. */
export interface WireAnswer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  /** Parsed where it says that it is JSON. */
  readonly body: unknown
}

/** Longer than any request may take, waits and all; whoever does not answer by then never will. */
const PATIENCE_MS = 40_000

/**
 * A few connections that are kept open, each with one request at a time. Takes bytes as they are: a proper client would not
 * send half of what a door must stand.
 */
export class Wire {
  readonly #url: URL
  readonly #idle: Connection[] = []
  readonly #waiting: ((connection: Connection) => void)[] = []

  constructor(url: string, connections: number) {
    this.#url = new URL(url)
    for (let made = 0; made < connections; made++) this.#idle.push(new Connection(this.#url))
  }

  async send(bytes: Buffer): Promise<WireAnswer> {
    const connection = this.#idle.pop() ?? (await this.#next())
    try {
      return await connection.send(bytes)
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#idle.push(connection)
      else next(connection)
    }
  }

  close(): void {
    for (const connection of this.#idle) connection.close()
  }

  #next(): Promise<Connection> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

class Closed extends Error {}

class Connection {
  readonly #url: URL
  #socket: Socket | undefined
  #received: Buffer = Buffer.alloc(0)
  #settle: { resolve: (answer: WireAnswer) => void; reject: (error: Error) => void } | undefined

  constructor(url: URL) {
    this.#url = url
  }

  /** On a connection that the door gave up while it was idle the request never arrived, so that it is sent on another. */
  async send(bytes: Buffer): Promise<WireAnswer> {
    const reused = this.#socket !== undefined
    return this.#sendOn(this.#socket ?? this.#connect(), bytes).catch((error) => {
      if (!reused || !(error instanceof Closed) || this.#received.length > 0) throw error
      return this.#sendOn(this.#connect(), bytes)
    })
  }

  async #sendOn(socket: Socket, bytes: Buffer): Promise<WireAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<WireAnswer>()
    this.#settle = { resolve, reject }
    const late = setTimeout(() => reject(new Error(`No answer within ${PATIENCE_MS} ms`)), PATIENCE_MS)
    socket.write(bytes)
    try {
      return await promise
    } finally {
      clearTimeout(late)
    }
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  #connect(): Socket {
    const socket = connect({ port: Number(this.#url.port), host: this.#url.hostname, noDelay: true })
    this.#socket = socket
    this.#received = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      const found = answerIn(this.#received)
      if (found === undefined) return
      const { answer } = found
      this.#received = Buffer.alloc(0)
      // Whoever says so will close it in a moment: the next request goes elsewhere.
      if (answer.headers.get('connection') === 'close') this.close()
      this.#settle?.resolve(answer)
    })
    // A door that closes while it is still written to may have answered before.
    socket.on('error', () => {})
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined
      this.#settle?.reject(new Closed('The connection was closed without an answer'))
    })
    return socket
  }
}

/**
 * Writes these bytes on a connection of their own, and reads every answer until it is closed. `hangUp`: says at once that
 * nothing more will come, so that a door which waits for the rest need not wait for long.
 */
export async function exchange(url: string, bytes: Buffer, { hangUp }: { hangUp: boolean }): Promise<WireAnswer[]> {
  const { hostname, port } = new URL(url)
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>()
  const late = setTimeout(() => reject(new Error(`Not closed within ${PATIENCE_MS} ms`)), PATIENCE_MS)
  const socket = connect({ port: Number(port), host: hostname, noDelay: true })
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  socket.on('error', () => {})
  socket.once('close', () => resolve())
  socket.write(bytes)
  if (hangUp) socket.end()
  try {
    await closed
  } finally {
    clearTimeout(late)
    socket.destroy()
  }
  const answers: WireAnswer[] = []
  let rest = Buffer.concat(received)
  for (let found = answerIn(rest); found !== undefined; found = answerIn(rest)) {
    answers.push(found.answer)
    rest = rest.subarray(found.length)
  }
  return answers
}

/** The first answer and how many bytes it has; undefined while it is not whole. */
function answerIn(received: Buffer): { answer: WireAnswer; length: number } | undefined {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [line = '', ...lines] = received.toString('latin1', 0, end).split('\r\n')
  const headers = new Map(
    lines.map((header) => {
      const colon = header.indexOf(':')
      return [header.slice(0, colon).toLowerCase(), header.slice(colon + 1).trim()]
    }),
  )
  const rest = received.subarray(end + 4)
  const found = headers.get('transfer-encoding') === 'chunked' ? unchunked(rest) : ofLength(rest, headers)
  if (found === undefined) return undefined
  const text = found.body.toString('utf8')
  const isJson = text !== '' && headers.get('content-type')?.includes('json') === true
  const answer = { status: Number(line.split(' ')[1]), headers, body: isJson ? JSON.parse(text) : text }
  return { answer, length: end + 4 + found.length }
}

function ofLength(rest: Buffer, headers: ReadonlyMap<string, string>) {
  const length = Number(headers.get('content-length') ?? 0)
  return rest.length < length ? undefined : { body: rest.subarray(0, length), length }
}

function unchunked(rest: Buffer) {
  const chunks: Buffer[] = []
  for (let at = 0; ; ) {
    const end = rest.indexOf('\r\n', at)
    if (end === -1) return undefined
    const size = Number.parseInt(rest.toString('latin1', at, end), 16)
    const next = end + 2 + size + 2
    if (rest.length < next) return undefined
    if (size === 0) return { body: Buffer.concat(chunks), length: next }
    chunks.push(rest.subarray(end + 2, end + 2 + size))
    at = next
  }
}
