import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Hono } from 'hono'
import { html } from 'hono/html'
import { SMTPServer, type SMTPServerSession } from 'smtp-server'
import { assert } from '../kit/assert.ts'
import { Moods } from './moods.ts'

/*
 * A mail server that delivers to nobody: whatever it takes is kept and can be looked at. Over HTTP:
 *
 *   GET    /            a page of what came, newest first
 *   GET    /messages    the same as JSON: [{"id","message_id","from","to","subject","raw"}], oldest first; `?to=` those to one reader
 *   DELETE /messages    forget
 *   POST   /_moods      as moods.ts has it; `on` is `RCPT <address>` or `DATA <address>`: fail (550), limit (451), hang_up,
 *                       hang (no answer), lose_answer (kept, then hung up), fail_after (kept, then 451)
 */

export interface Message {
  readonly id: number
  /** With its angle brackets. */
  readonly messageId: string
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  readonly raw: string
}

export interface MailSandbox {
  /** `smtp://127.0.0.1:2525` */
  readonly url: string
  readonly routes: Hono
  stop(): Promise<void>
}

/** Letters that are kept; the oldest go first. */
const MAX_KEPT = 1_000

export async function mailSandbox(host: string, port = 0): Promise<MailSandbox> {
  const moods = new Moods()
  const kept: Message[] = []
  const sockets = new Map<number, Socket>()
  let count = 0

  const hangUp = ({ remotePort }: SMTPServerSession) => sockets.get(remotePort)?.destroy()
  const said = (code: number, says: string) => Object.assign(new Error(says), { responseCode: code })

  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    onRcptTo({ address }, session, answer) {
      const mood = moods.take(`RCPT ${address}`, 'fail', 'limit', 'hang_up', 'hang')
      if (mood?.does === 'hang_up') hangUp(session)
      else if (mood?.does === 'fail') answer(said(550, 'No such user here'))
      else if (mood?.does === 'limit') answer(said(451, 'Try again later'))
      else if (mood?.does !== 'hang') answer()
    },
    onData(stream, session, answer) {
      const parts: Buffer[] = []
      stream.on('data', (part: Buffer) => parts.push(part))
      stream.on('end', () => {
        const to = session.envelope.rcptTo.map(({ address }) => address)
        const mood = moods.take(`DATA ${to[0] ?? ''}`, 'fail', 'limit', 'hang_up', 'hang', 'lose_answer', 'fail_after')
        if (mood?.does === 'hang_up') return hangUp(session)
        if (mood?.does === 'fail') return answer(said(554, 'Not wanted'))
        if (mood?.does === 'limit') return answer(said(451, 'Try again later'))
        if (mood?.does === 'hang') return
        const from = session.envelope.mailFrom === false ? '' : session.envelope.mailFrom.address
        keep({ from, to, raw: Buffer.concat(parts).toString('utf8') })
        if (mood?.does === 'lose_answer') return hangUp(session)
        if (mood?.does === 'fail_after') return answer(said(451, 'Something broke'))
        answer(null, 'Kept')
      })
    },
  })
  // Somebody who hangs up is no trouble of ours.
  server.on('error', () => {})
  server.server.on('connection', (socket: Socket) => {
    const { remotePort = 0 } = socket
    sockets.set(remotePort, socket)
    socket.once('close', () => sockets.delete(remotePort))
  })

  function keep({ from, to, raw }: Pick<Message, 'from' | 'to' | 'raw'>): void {
    count += 1
    kept.push({ id: count, messageId: header(raw, 'Message-ID'), from, to, subject: header(raw, 'Subject'), raw })
    if (kept.length > MAX_KEPT) kept.shift()
  }

  const routes = new Hono()
  routes.route('/', moods.routes())
  routes.get('/messages', (c) => {
    const to = c.req.query('to')
    const chosen = to === undefined ? kept : kept.filter((one) => one.to.includes(to))
    return c.json(chosen.map(({ messageId, ...one }) => ({ ...one, message_id: messageId })))
  })
  routes.delete('/messages', (c) => {
    kept.length = 0
    return c.body(null, 204)
  })
  routes.get('/', (c) =>
    c.html(html`<!doctype html>
      <html lang="en">
        <head><meta charset="utf-8" /><title>Mail that nobody got</title></head>
        <body style="font-family: sans-serif; max-width: 60rem; margin: 2rem auto">
          <h1>Mail that nobody got</h1>
          ${kept
            .toReversed()
            .map((one) => html`<h2>${one.subject}</h2><p>To ${one.to.join(', ')}</p><pre>${one.raw}</pre>`)}
        </body>
      </html>`),
  )

  server.listen(port, host)
  await once(server.server, 'listening')
  const address = server.server.address()
  assert(address !== null && typeof address === 'object', 'The mail sandbox listens on no port')
  return {
    url: `smtp://${host}:${address.port}`,
    routes,
    async stop() {
      if (!server.server.listening) return
      const closed = once(server.server, 'close')
      server.close()
      for (const socket of sockets.values()) socket.destroy()
      await closed
    },
  }
}

/** One header with its continuation lines; encoded words stay as they are. */
function header(raw: string, name: string): string {
  const [head = ''] = raw.split(/\r?\n\r?\n/, 1)
  const unfolded = head.replaceAll(/\r?\n[ \t]+/g, ' ')
  const found = new RegExp(`^${name}:[ \\t]*(.*)$`, 'im').exec(unfolded)
  return found?.[1]?.trim() ?? ''
}
