import { createTransport } from 'nodemailer'
import type { Secret } from '../kit/secret.ts'
import type { NotSent, Unknown } from './port.ts'

/** One letter to one reader. */
export interface Letter {
  /**
   * Ours, `<name@host>`, the same for every try of this letter: should it go out twice because an answer was lost, mail
   * programs show it once.
   */
  readonly messageId: string
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
  readonly attachments: readonly { readonly name: string; readonly type: string; readonly content: Buffer }[]
}

/** The mail server will never take it: a wrong address, a letter that is too large. */
export interface MailRefused {
  readonly outcome: 'refused'
  /** The server's three digits: `550`. */
  readonly code: string
  readonly message: string
}

export type MailAnswer = { readonly outcome: 'sent' } | MailRefused | NotSent | Unknown

/** Whoever carries our letters. `send` throws for nothing that the network or the server does. */
export interface Mail {
  send(letter: Letter): Promise<MailAnswer>
}

/** Milliseconds. Servers greet slowly on purpose to tell programs that send in bulk. */
const CONNECT_MS = 15_000
/** Milliseconds of silence after which an answer counts as lost. */
const SILENCE_MS = 30_000

/** What went wrong, in nodemailer's words. */
interface Failure {
  readonly code?: string
  /** The server's answer, where it gave one. */
  readonly responseCode?: number
  /** What it answered: `RCPT TO`, `DATA`. */
  readonly command?: string
  readonly syscall?: string
}

/**
 * Letters by SMTP: `smtp://user:password@host:587`, or `smtps://` where TLS comes first. `?requireTLS=true` refuses servers
 * that offer none. A connection for each letter, so that what went wrong with one is never another's.
 */
export function smtpMail(options: {
  url: Secret
  from: { readonly name: string; readonly address: string }
  silenceMs?: number | undefined
}): Mail {
  const transport = createTransport(
    {
      url: options.url.reveal(),
      connectionTimeout: CONNECT_MS,
      greetingTimeout: CONNECT_MS,
      socketTimeout: options.silenceMs ?? SILENCE_MS,
      // A letter holds what it is given, never what a name in it points at.
      disableFileAccess: true,
      disableUrlAccess: true,
    },
    { from: { ...options.from } },
  )

  return {
    async send({ messageId, to, subject, text, html, attachments }) {
      try {
        await transport.sendMail({
          messageId,
          // As an object: a comma in it does not make it two.
          to: { name: '', address: to },
          subject,
          text,
          html,
          attachments: attachments.map(({ name, type, content }) => ({ filename: name, contentType: type, content })),
          // Nobody's vacation note is wanted in answer.
          headers: { 'Auto-Submitted': 'auto-generated' },
        })
        return { outcome: 'sent' }
      } catch (error) {
        return answerTo(error as Failure)
      }
    },
  }
}

/** Said in our words: the server's own sentence may quote the letter, its reader or our user. */
function answerTo({
  code = 'failed',
  responseCode,
  command = 'CONN',
  syscall,
}: Failure): Exclude<MailAnswer, { outcome: 'sent' }> {
  if (responseCode !== undefined && responseCode >= 500 && code !== 'EAUTH')
    return {
      outcome: 'refused',
      code: String(responseCode),
      message: `The mail server refused it for good (${responseCode} to ${command})`,
    }
  if (responseCode !== undefined)
    return { outcome: 'not_sent', reason: `The mail server said ${responseCode} to ${command}` }
  // Nobody was reached: no name, no connection, no TLS, no login. What broke later may have been taken.
  return NOT_REACHED.has(code) || syscall === 'connect'
    ? { outcome: 'not_sent', reason: `The mail server could not be reached (${code})` }
    : { outcome: 'unknown', reason: `The mail server did not say whether it took the letter (${code})` }
}

const NOT_REACHED: ReadonlySet<string> = new Set(['EDNS', 'ETLS', 'EAUTH', 'EPROXY'])
