/** Something that must not be. Any of them fails the run. */
export interface Finding {
  /**
   * `lost`: accepted, and not done. `doubled`: done more than once. `open`: has no outcome, or left something behind. `told`: a
   * caller was told something else than the books say. `books`: the ledger does not balance. `outside`: others saw something
   * else than our records say. `answer`: an answer that nobody should get. `crash`: a process that ended by itself.
   */
  readonly sort: 'lost' | 'doubled' | 'open' | 'told' | 'books' | 'outside' | 'answer' | 'crash'
  readonly says: string
}

export const findingSorts = ['lost', 'doubled', 'open', 'told', 'books', 'outside', 'answer', 'crash'] as const
