import fc from 'fast-check'

/* What nobody means well with: values, texts, bytes and headers from everywhere that doors have been broken. */

/** Words that mean something to JavaScript, SQL, shells, templates, paths or terminals. */
const WORDS = [
  ...[
    '',
    ' ',
    '0',
    '-1',
    'null',
    'undefined',
    'NaN',
    'true',
    '[object Object]',
    '__proto__',
    'constructor',
    'toString',
  ],
  ...['..', '../../etc/passwd', '..\\..', '%', '%00', '%2e%2e%2f', '/', '//', '?', '#', ';', '*', '.'],
  ...["'", '"', "' or '1'='1", "'; drop table token; --", '$1', '${7*7}', '{{7*7}}', '$(id)', '`id`', '<script>'],
  ...['\0', '\u0000a', '\u001b[2J', '\r\nX-Injected: 1', '\u202e', '\ufeff', '\uffff', '\u{1f4b8}', '\u{10ffff}'],
  ...['\ud800', '\udc00\ud800', 'e\u0301'.repeat(50), 'ﷺ'.repeat(100), 'ı', 'ß', 'K', '٣', '１２'],
  ...['4242424242424242', '4242 4242 4242 4242', '00000000-0000-4000-8000-000000000000', 'enc:00000000:AAAA'],
  ...['eyJhbGciOiJub25lIn0.e30.', 'eyJ.eyJ.x', '9'.repeat(40), '1e308', '1e-400', '0x10', '1_000', 'x'.repeat(3_000)],
]

/** Texts of any kind, most of them short. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 300, size: 'max' }) },
)

const hostileNumber = fc.oneof(
  fc.constantFrom(0, -0, -1, 0.1, 1e21, 1e308, 5e-324, 2 ** 31, 2 ** 53, 2 ** 63, -(2 ** 63), 4242424242424242),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
)

/** Any JSON value, in place of another. */
export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: hostileText },
  { weight: 3, arbitrary: hostileNumber },
  { weight: 2, arbitrary: fc.constantFrom(null, true, false, [], {}, [[]], [null], { length: 1 }, { $ne: null }) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
)

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

/** A field more, as text, that should not be there or not twice. */
const FIELDS = [
  '"__proto__":{"roles":["admin"]}',
  '"constructor":{"prototype":{"x":1}}',
  '"prototype":1',
  '"a":1,"a":1',
  `"deep":${nested(70)}`,
  '"half":"\\ud800"',
  '"nul":"\\u0000"',
  '"precise":12345678901234567890',
  '"card":"4242 4242 4242 4242"',
]

/** What is done to the text of a body that was fine. */
export const textMutation: fc.Arbitrary<(json: string) => string> = fc.oneof(
  fc.constantFrom<((json: string) => string)[]>(
    (json) => json.slice(0, -1),
    (json) => json.slice(0, json.length >> 1),
    (json) => `${json}${json}`,
    (json) => `${json}garbage`,
    (json) => `\ufeff${json}`,
    (json) => `[${json}]`,
    (json) => JSON.stringify(json),
    (json) => json.replaceAll('"', "'"),
    (json) => json.replace('{', '{,'),
    (json) => json.replace('}', ',}'),
    (json) => json.replace(':', ':\0'),
    (json) => json.replace(/:(\d)/, ':0$1'),
    (json) => json.replace(/:\d+/, ':NaN'),
    (json) => json.replace(/:\d+/, ':1e400'),
    (json) => json.replace(/:\d+/, `:${'9'.repeat(400)}`),
    (json) => json.replace('{', '{/* */'),
    () => '',
    () => ' ',
    () => 'null',
    () => '"text"',
    () => '[[[[',
    () => nested(65),
    () => nested(20_000),
    () => `{"a":${nested(63)}}`,
  ),
  fc.constantFrom(...FIELDS).map((field) => (json: string) => json.replace(/^\{/, `{${field},`).replace(',}', '}')),
  fc.tuple(fc.nat(200), fc.string({ unit: 'binary', minLength: 1, maxLength: 3 })).map(
    ([at, text]) =>
      (json: string) =>
        json.slice(0, at % (json.length + 1)) + text + json.slice(at % (json.length + 1)),
  ),
)

/** How a text becomes bytes, when it is not by UTF-8. */
export const encoding: fc.Arbitrary<(text: string) => Buffer> = fc.constantFrom<((text: string) => Buffer)[]>(
  (text) => Buffer.from(text, 'utf16le'),
  (text) => Buffer.from(text.replace(/"[^"]*$/, 'é"}'), 'latin1'),
  (text) => Buffer.concat([Buffer.from(text), Buffer.from([0xff])]),
  (text) => Buffer.concat([Buffer.from(text.slice(0, -2)), Buffer.from([0xc0, 0xaf, 0x22, 0x7d])]),
  (text) => Buffer.concat([Buffer.from([0xed, 0xa0, 0x80]), Buffer.from(text)]),
)

/** Headers that a proxy, a browser or somebody bored may send: those that HTTP itself allows. */
export const hostileHeader: fc.Arbitrary<readonly [string, string]> = fc.oneof(
  header(
    'Prefer',
    'wait=1',
    'wait=0',
    'wait=x',
    'wait="',
    'wait="1"; a=b',
    ',;=',
    'respond-async',
    'wait=99999999999999',
  ),
  header('Idempotency-Key', 'a', '""', '"', 'k'.repeat(300), 'é', '\t', '__proto__'),
  header('Content-Type', 'text/plain', '', 'application/json;;;', 'application/json; charset=utf-16', 'a/b, c/d'),
  header('Content-Encoding', 'gzip', 'identity', 'br, br', ''),
  header('X-Request-Id', 'a', 'a b', 'x'.repeat(500), 'é', '<script>', '../..'),
  header('X-Forwarded-For', '::1', 'a, b, c', ',,,', '999.1.1.1', '1'.repeat(4_000)),
  header(
    'Authorization',
    'Bearer',
    'Bearer x',
    'Basic eDp5',
    'Bearer a.b.c',
    'Digest x',
    '   ',
    'Basic ====',
    'Bearer é',
  ),
  header('Host', 'elsewhere.example', '[::1]', 'localhost', 'LOCALHOST:080'),
  header('Cookie', '__proto__=1', 'a'.repeat(4_000), ';;;='),
  header('Accept', '*/*;q=x', 'text/html', ''),
  header('Accept-Encoding', 'gzip;q=0, *', ''),
  header('X-HTTP-Method-Override', 'DELETE'),
  header('Range', 'bytes=0-0', 'bytes=-', 'x'),
  header('If-None-Match', '*'),
  header('Origin', 'null', 'https://elsewhere.example'),
  header('__proto__', 'x'),
  header('constructor', 'x'),
)

function header(name: string, ...values: string[]) {
  return fc.constantFrom(...values).map((value) => [name, value] as const)
}
