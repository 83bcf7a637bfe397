import type { Processor } from '../../src/processors/shapes/processor.ts'

/** Stands before a processor. While it is shut, work waits in front of it. */
export class Gate {
  #passable: Promise<void> = Promise.resolve()
  #open: () => void = () => {}

  shut(): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#passable = promise
    this.#open = resolve
  }

  open(): void {
    this.#open()
  }

  before(processor: Processor): Processor {
    return {
      ...processor,
      run: async (context, ids) => {
        await this.#passable
        return processor.run(context, ids)
      },
    }
  }
}
