/** Anything that can run a statement: a pool, or one connection inside a transaction. `$1` marks the first parameter. */
export interface Sql {
  query<Row = Record<string, unknown>>(text: string, parameters?: readonly unknown[]): Promise<Row[]>
}
