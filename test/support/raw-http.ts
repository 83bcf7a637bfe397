import { once } from 'node:events'
import { connect } from 'node:net'

/** What came back for bytes that no well-behaved client would send. */
export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
}

function connected(url: string) {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  // A door that closes while it is still written to is what some tests are about.
  socket.on('error', () => {})
  return socket
}

/** Writes these bytes to a door, as they are, and reads every answer until the door closes the connection. */
export async function rawHttp(url: string, ...writes: readonly string[]): Promise<RawAnswer[]> {
  const socket = connected(url)
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  let received = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
  })
  socket.once('close', () => resolve())
  for (const bytes of writes) socket.write(bytes)
  await closed
  return answersIn(received.toString('latin1'))
}

/** Writes these bytes, and goes away without waiting for anything. */
export async function goAwayAfter(url: string, bytes: string): Promise<void> {
  const socket = connected(url)
  await once(socket, 'connect')
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
  socket.destroy()
}

function answersIn(received: string): RawAnswer[] {
  const answers: RawAnswer[] = []
  let rest = received
  while (rest.includes('\r\n\r\n')) {
    const end = rest.indexOf('\r\n\r\n') + 4
    const head = rest.slice(0, end)
    const length = /^transfer-encoding: chunked/im.test(head)
      ? rest.indexOf('0\r\n\r\n', end) + 5 - end
      : Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
    const body = Buffer.from(rest.slice(end, end + length), 'latin1').toString('utf8')
    answers.push({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), head, body })
    rest = rest.slice(end + length)
  }
  return answers
}
