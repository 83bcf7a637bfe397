import { z } from 'zod'
import { errorSchema } from '../../src/api/errors.ts'

/** A JSON Schema (2020-12), as OpenAPI 3.1 holds them. */
export type Schema = Readonly<Record<string, unknown>>

const Schema = z.record(z.string(), z.unknown())
const Content = z.record(z.string(), z.object({ schema: Schema }))

const Document = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        security: z.array(z.unknown()).optional(),
        parameters: z
          .array(
            z.object({
              name: z.string(),
              in: z.enum(['path', 'query', 'header']),
              required: z.boolean(),
              schema: Schema,
            }),
          )
          .default([]),
        requestBody: z.object({ content: z.object({ 'application/json': z.object({ schema: Schema }) }) }).optional(),
        responses: z.record(z.string(), z.object({ content: Content.optional() })),
      }),
    ),
  ),
  components: z.object({ schemas: z.record(z.string(), Schema) }),
})

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required: boolean
  readonly schema: Schema
}

/** One route, as the document describes it. */
export interface DocumentedRoute {
  /** `POST /token`. */
  readonly name: string
  readonly method: string
  readonly path: string
  readonly parameters: readonly Parameter[]
  readonly body: Schema | undefined
  /** Says that somebody known must ask. */
  readonly secured: boolean
  /** By status: the content type of the answer, and what its body must be. */
  readonly answers: ReadonlyMap<number, { readonly type: string; readonly schema: Schema } | undefined>
}

/** What a door says that it answers, and whether it does. */
export class OpenApi {
  readonly routes: readonly DocumentedRoute[]
  readonly #definitions: Schema
  readonly #validators = new WeakMap<Schema, z.ZodType>()

  /** The document as it was answered by `/openapi.json`. */
  constructor(answered: unknown) {
    const document = Document.parse(withLocalReferences(answered))
    this.#definitions = document.components.schemas
    this.routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { security, parameters, requestBody, responses }]) => ({
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path,
        parameters,
        body: requestBody?.content['application/json'].schema,
        secured: security !== undefined,
        answers: new Map(
          Object.entries(responses).map(([status, { content = {} }]) => {
            const [described] = Object.entries(content)
            return [Number(status), described && { type: described[0], schema: described[1].schema }]
          }),
        ),
      })),
    )
  }

  /** The schema itself, where it only names another. */
  resolved(schema: Schema): Schema {
    if (typeof schema.$ref !== 'string') return schema
    const found = this.#definitions[schema.$ref.replace('#/$defs/', '')]
    return this.resolved(Schema.parse(found))
  }

  /** Whether a value is what a schema describes; if not, in which ways. */
  problemsOf(schema: Schema, value: unknown): string[] {
    let validator = this.#validators.get(schema)
    if (validator === undefined) {
      validator = z.fromJSONSchema({ ...schema, $defs: this.#definitions } as Parameters<typeof z.fromJSONSchema>[0])
      this.#validators.set(schema, validator)
    }
    const issues = validator.safeParse(value).error?.issues ?? []
    return issues.map(({ path, message }) => `${path.join('.') || 'the body'}: ${message}`)
  }

  /** What of an answer the document does not say, and what of an error is not the one body of every error. */
  mistakesIn(route: DocumentedRoute, answer: { status: number; type: string; body: unknown }): string[] {
    const { status, type, body } = answer
    if (!route.answers.has(status)) return [`${status} is not documented`, ...errorMistakes(status, body)]
    const described = route.answers.get(status)
    if (described === undefined) return []
    const mistakes = status >= 400 && !isHealth(route) ? errorMistakes(status, body) : []
    if (!type.startsWith(described.type)) mistakes.push(`The type is ${type}, not ${described.type}`)
    return [...mistakes, ...this.problemsOf(described.schema, body)]
  }
}

/** Health says how things are, not what went wrong. */
const isHealth = ({ path }: DocumentedRoute): boolean => path === '/health'

/** The one body of every error: all of it, nothing beside it, and something in it. */
export function errorMistakes(status: number, body: unknown): string[] {
  if (status < 400) return []
  const error = errorSchema.strict().safeParse(body)
  if (!error.success)
    return [`not the body of an error: ${error.error.issues.map(({ message }) => message).join(', ')}`]
  const { error: name, code, message, detail } = error.data
  return name.length > 2 && /^(\w+\.\w+|PAY_\d{3})$/.test(code) && message.length > 10 && detail.length > 0
    ? []
    : ['an error that says nothing']
}

/** References as a schema has them that stands alone, beside its definitions. */
const withLocalReferences = (answered: unknown): unknown =>
  JSON.parse(JSON.stringify(answered).replaceAll('"#/components/schemas/', '"#/$defs/'))
