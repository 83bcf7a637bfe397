import { canonicalJson, sha256 } from '../../kit/digest.ts'
import { Refused } from './errors.ts'
import type { World } from './world.ts'

/** The same key and body get the first answer again; another body under the same key is refused. */
export function once<Answer>(
  world: World,
  { key, request }: { key: string | undefined; request: unknown },
  act: () => Answer,
): Answer {
  if (key === undefined) return act()
  const digest = sha256(canonicalJson(request)).toString('hex')
  const kept = world.kept.get(key)
  if (kept === undefined) {
    const answer = act()
    world.kept.put({ id: key, request: digest, answer })
    return answer
  }
  if (kept.request !== digest)
    throw new Refused({ description: 'Different request with the same idempotency key has already been processed.' })
  return kept.answer as Answer
}
