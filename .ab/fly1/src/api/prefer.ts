/** The longest that anybody may wait for an outcome, in seconds. */
export const MAX_WAIT_SECONDS = 30

/** `wait=N`, bare or quoted, perhaps with parameters behind it. */
const WAIT = /^\s*wait\s*=\s*(?:(\d+)|"(\d+)")\s*(?:;|$)/i

/** `wait=N` of a Prefer header (RFC 7240), clamped; undefined when it states none. Other preferences are passed over. */
export function preferredWait(header: string | undefined): number | undefined {
  for (const preference of header?.split(',') ?? []) {
    const [, bare, quoted] = WAIT.exec(preference) ?? []
    const seconds = bare ?? quoted
    if (seconds !== undefined) return Math.min(Number(seconds), MAX_WAIT_SECONDS)
  }
  return undefined
}
