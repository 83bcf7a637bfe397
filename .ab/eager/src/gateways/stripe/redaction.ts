/** Stripe quotes (parts of) keys and client secrets in some of its messages; operators and customers need neither. */
const SECRETS = /(?:\b(?:sk|rk|pk)|(?:sk|rk|pk)_(?:test|live|org)|whsec)_[\w*]+|\w+_secret_\w+/g

/** A text of Stripe's for people, without what must not be seen. */
export const withoutSecrets = (text: string): string => text.replace(SECRETS, '<redacted>')
