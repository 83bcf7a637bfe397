import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { OpenAPIHono } from '@hono/zod-openapi'
import { z } from '@hono/zod-openapi'
import { doorRefusals } from './door-refusals.ts'
import { reply } from './reply.ts'
import type { Env, Router } from './route.ts'

const ASSETS = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))

/** The only files that the page needs; nothing else of the package is served. */
const FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
}

const PAGE = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Bursar API</title>
  <link rel="icon" href="/docs/favicon-32x32.png">
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <div id="reference"></div>
  <noscript>This page needs JavaScript; the same reference is in <a href="/openapi.json">/openapi.json</a>.</noscript>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
`

const START = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#reference', deepLinking: true, validatorUrl: null, tryItOutEnabled: true })\n`

/** Everything comes from us: the page works offline, and nobody else learns who reads it. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const tag = 'Reference'

/** The OpenAPI document, and a page to browse it. */
export function docsRoutes(router: Router, app: OpenAPIHono<Env>, version: string): void {
  let document: object | undefined
  router.route(
    {
      method: 'get',
      path: '/openapi.json',
      tag,
      summary: 'This document',
      access: 'anyone',
      answers: { 200: { says: 'OpenAPI 3.1', schema: z.object({}).loose() } },
    },
    ({ c }) => {
      document ??= app.getOpenAPI31Document({
        openapi: '3.1.0',
        info: {
          title: 'Bursar',
          version,
          description:
            'Everything that changes something answers 202 with an operation to poll, or its outcome at once with Prefer: wait=N. A repeat with the same Idempotency-Key is never done twice.',
        },
      })
      return reply(c, document)
    },
  )
  router.route(
    {
      method: 'get',
      path: '/docs',
      tag,
      summary: 'This reference as a page',
      access: 'anyone',
      answers: { 200: { says: 'A page that works offline', schema: z.string(), type: 'text/html' } },
    },
    ({ c }) => c.html(PAGE, 200, { 'Content-Security-Policy': CSP }),
  )
  app.get('/docs/:file', (c) =>
    router.parts.attend(c, async () => {
      const file = c.req.param('file')
      if (file === 'start.js') return c.body(START, 200, { 'Content-Type': 'text/javascript; charset=utf-8' })
      const type = FILES[file]
      if (type === undefined) throw doorRefusals.notFound()
      const bytes = await readFile(join(ASSETS, file))
      return c.body(bytes, 200, { 'Content-Type': type, 'Cache-Control': 'public, max-age=3600' })
    }),
  )
}
