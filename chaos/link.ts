import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** What a way does with the bytes that it is given. */
export type Weather =
  | { readonly kind: 'clear' }
  /** Everything comes, in order, so many milliseconds late. */
  | { readonly kind: 'late'; readonly ms: number }
  /** No connection comes about, and those that there were are reset. */
  | { readonly kind: 'refused' }
  /** Questions arrive; answers do not: the worst that can happen to somebody who counts on being told. */
  | { readonly kind: 'answersLost' }
  /** Nothing arrives on either side, and nobody is told. */
  | { readonly kind: 'silent' }

const CLEAR: Weather = { kind: 'clear' }

/** A TCP proxy between one process and one service, for faults of the network between them. */
export class Link {
  readonly port: number
  readonly #server: Server
  readonly #connections: Set<Connection>
  readonly #now: { weather: Weather }

  private constructor(server: Server, port: number, connections: Set<Connection>, now: { weather: Weather }) {
    this.#server = server
    this.port = port
    this.#connections = connections
    this.#now = now
  }

  static async open(target: { readonly host: string; readonly port: number }): Promise<Link> {
    const connections = new Set<Connection>()
    const now = { weather: CLEAR }
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (asking) => {
      asking.on('error', () => {})
      if (now.weather.kind === 'refused') {
        asking.resetAndDestroy()
        return
      }
      const connection = new Connection(asking, target, () => now.weather)
      connections.add(connection)
      connection.closed.then(() => connections.delete(connection))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address !== 'object') throw new Error('A link listens on no port')
    return new Link(server, address.port, connections, now)
  }

  /** Resets every connection that there is. The next ones come about. */
  cut(): void {
    for (const connection of this.#connections) connection.reset()
  }

  /** Says «I am done» to one side of every connection, in the name of the other, who does not know of it. */
  halfClose(side: 'asking' | 'answering'): void {
    for (const connection of this.#connections) connection.halfClose(side)
  }

  turn(weather: Weather): void {
    this.#now.weather = weather
    if (weather.kind === 'refused') this.cut()
  }

  /** Clear weather; connections that have lost bytes, or one of their sides, are reset as the network would in the end. */
  heal(): void {
    this.#now.weather = CLEAR
    for (const connection of this.#connections) if (connection.damaged) connection.reset()
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    await closed
  }
}

class Connection {
  readonly closed: Promise<unknown>
  damaged = false
  readonly #asking: Socket
  readonly #answering: Socket

  constructor(asking: Socket, target: { readonly host: string; readonly port: number }, weather: () => Weather) {
    this.#asking = asking
    this.#answering = connect({ ...target, allowHalfOpen: true, noDelay: true })
    const losing = (lost: readonly Weather['kind'][]) => () => {
      const now = weather()
      if (lost.includes(now.kind)) this.damaged = true
      return lost.includes(now.kind) ? 'lost' : now.kind === 'late' ? now.ms : 0
    }
    carry(this.#asking, this.#answering, losing(['silent']))
    carry(this.#answering, this.#asking, losing(['silent', 'answersLost']))
    for (const socket of [this.#asking, this.#answering]) {
      socket.on('error', () => this.reset())
    }
    this.closed = Promise.all([closing(this.#asking), closing(this.#answering)])
  }

  reset(): void {
    reset(this.#asking)
    reset(this.#answering)
  }

  halfClose(side: 'asking' | 'answering'): void {
    this.damaged = true
    if (side === 'asking') this.#asking.end()
    else this.#answering.end()
  }
}

/** One that is still connecting, or has said its last, cannot be reset: Node would keep it open for ever. */
const reset = (socket: Socket): unknown =>
  socket.connecting || socket.writableEnded ? socket.destroy() : socket.resetAndDestroy()

const closing = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once('close', () => resolve()))

/** Carries bytes one way, in order, each as late as the weather of its moment says, or not at all. */
function carry(from: Socket, to: Socket, fate: () => number | 'lost'): void {
  const onTheirWay: { at: number; bytes: Buffer | undefined }[] = []
  let timer: NodeJS.Timeout | undefined
  const deliver = () => {
    timer = undefined
    for (let next = onTheirWay[0]; next !== undefined; next = onTheirWay[0]) {
      const early = next.at - performance.now()
      if (early > 0) {
        timer = setTimeout(deliver, early)
        return
      }
      onTheirWay.shift()
      if (to.destroyed || !to.writable) continue
      if (next.bytes === undefined) to.end()
      else if (!to.write(next.bytes)) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    }
  }
  const send = (bytes: Buffer | undefined) => {
    const late = fate()
    if (late === 'lost') return
    onTheirWay.push({ at: performance.now() + late, bytes })
    if (timer === undefined) deliver()
  }
  from.on('data', send)
  from.on('end', () => send(undefined))
  from.once('close', () => {
    // An orderly end is on its way already; anything else has nothing left to say.
    if (!from.readableEnded) to.destroy()
  })
  to.once('close', () => clearTimeout(timer))
}
