/**
 * A PostgreSQL array of values whose text needs no quotes: ids, numbers, truth values, times, and names of our own.
 * Joining it here takes half as long as the driver does.
 */
export const arrayLiteral = (values: readonly unknown[]): string =>
  `{${values.map((value) => value ?? 'NULL').join(',')}}`

/** The same of texts that others have written. */
export const textArrayLiteral = (values: readonly (string | null)[]): string =>
  `{${values.map((value) => (value === null ? 'NULL' : quoted(value))).join(',')}}`

const quoted = (text: string): string => `"${/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text}"`
