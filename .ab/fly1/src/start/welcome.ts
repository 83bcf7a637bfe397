import type { Config } from '../platform/config.ts'

/**
 * What a developer reads after `npm start`: where everything is, and three lines to paste. `mailUrl` is where the sandbox
 * keeps what it sends to nobody; with a mail server of one's own nothing gets there.
 */
export function welcome(url: string, config: Config, mailUrl?: string): string {
  const { username, password } = config.board
  const letters = mailUrl === undefined || config.smtpUrl !== undefined ? '' : `  Letters    ${mailUrl}\n`
  const json = `-H 'Content-Type: application/json'`
  return `
Bursar is ready.

  API        ${url}          reference  ${url}/docs
  Board      ${url}/admin/queues   user ${username}, password ${password.reveal()}
${letters}
Issue a token, spend from it, look at what is left:

  TOKEN=$(curl -s ${url}/token ${json} -H 'Prefer: wait=10' -d '{"budget":100,"voice_id":"voice_researcher_001"}' | sed 's/.*"token_id":"\\([^"]*\\)".*/\\1/')
  curl -s ${url}/token/$TOKEN/deduct ${json} -H 'Prefer: wait=10' -d '{"amount":25,"description":"Literature search"}'
  curl -s ${url}/balance/$TOKEN

Stop with Ctrl-C.

`
}
