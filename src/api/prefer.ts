/** The longest that anybody may wait for an outcome, in seconds. */
export const MAX_WAIT_SECONDS = 30

/** `wait=N` of a Prefer header (RFC 7240), clamped; undefined when it states none. Other preferences are passed over. */
export function preferredWait(header: string | undefined): number | undefined {
  for (const preference of header?.split(/[,;]/) ?? []) {
    const [, seconds] = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*$/i.exec(preference) ?? []
    if (seconds !== undefined) return Math.min(Number(seconds), MAX_WAIT_SECONDS)
  }
  return undefined
}
