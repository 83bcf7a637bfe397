import type { Kind } from '../../src/jobs/kind.ts'
import { Bug } from '../../src/kit/assert.ts'
import type { Processor } from '../../src/processors/shapes/processor.ts'
import { transact } from '../../src/processors/shapes/transact.ts'

/** A processor that can be given a bug, and be mended again. */
export class Breakable {
  broken = false

  around(kind: Kind, processor: Processor): Processor {
    const buggy = transact(kind, {
      async perform() {
        throw new Bug('Somebody forgot a case')
      },
    })
    return { ...processor, run: (context, ids) => (this.broken ? buggy : processor).run(context, ids) }
  }
}
