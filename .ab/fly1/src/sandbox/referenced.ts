import type { Collection, Store } from './store.ts'

interface Row {
  readonly id: string
  readonly reference: string
}

/** A collection that also finds things by the caller's reference. The rows are all that is stored: one write is one change. */
export interface Referenced<One extends Row> extends Collection<One> {
  /** The one that came first under this reference. */
  of(reference: string): One | undefined
}

export function referenced<One extends Row>(store: Store, name: string): Referenced<One> {
  const rows = store.collection<One>(name)
  const first = new Map<string, string>()
  const remember = ({ id, reference }: One): void => {
    if (!first.has(reference)) first.set(reference, id)
  }
  for (const row of rows.values()) remember(row)
  return {
    get: (id) => rows.get(id),
    values: () => rows.values(),
    put: (row) => {
      remember(row)
      return rows.put(row)
    },
    of: (reference) => {
      const id = first.get(reference)
      return id === undefined ? undefined : rows.get(id)
    },
    get size() {
      return rows.size
    },
  }
}
