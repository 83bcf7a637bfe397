/** A broken assumption of ours. Never retried blindly, always loud; if a caller can cause it, it should have been a refusal. */
export class Bug extends Error {
  override name = 'Bug'
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Bug(message)
}

/** The end of an exhaustive switch: does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new Bug(`Unreachable: ${JSON.stringify(value)}`)
}
