/** What a caller is told: a stable code, the short name that the seeds' clients read, a sentence that says what to do. */
export class Refusal extends Error {
  override name = 'Refusal'
  readonly code: string
  readonly status: number
  readonly error: string
  /** The code that a seed's clients know it by, such as `PAY_002`; on the wire it stands in the place of ours. */
  readonly seedCode: string | undefined

  constructor(say: {
    code: string
    status: number
    error: string
    message: string
    seedCode?: string | undefined
  }) {
    super(say.message)
    this.code = say.code
    this.seedCode = say.seedCode
    this.status = say.status
    this.error = say.error
  }
}

/** One named «no»: its HTTP status, its short name, and the sentence made from what the caller needs in order to act. */
export interface RefusalDeclaration<Details> {
  readonly status: number
  readonly error: string
  readonly seedCode?: string
  readonly says: (details: Details) => string
}

// biome-ignore lint/suspicious/noExplicitAny: the details differ per refusal and are recovered by the mapped type below
type AnyDeclaration = RefusalDeclaration<any>

type Refusals<Table extends Record<string, AnyDeclaration>> = {
  readonly [Name in keyof Table]: (
    ...details: Parameters<Table[Name]['says']> extends [] ? [] : [details: Parameters<Table[Name]['says']>[0]]
  ) => Refusal
}

/** Every code that was declared, with its HTTP status: the contract snapshot and the documentation read it. */
export const declaredRefusals = new Map<string, { status: number; error: string }>()

/** Declares a noun's refusals: `refusals('token', { insufficient: … }).insufficient({ … })` has the code `token.insufficient`. */
export function refusals<const Table extends Record<string, AnyDeclaration>>(
  noun: string,
  table: Table,
): Refusals<Table> {
  const makers = Object.entries(table).map(([name, { status, error, seedCode, says }]) => {
    const code = `${noun}.${name}`
    declaredRefusals.set(code, { status, error })
    return [name, (details: unknown) => new Refusal({ code, status, error, seedCode, message: says(details) })]
  })
  return Object.fromEntries(makers) as Refusals<Table>
}
