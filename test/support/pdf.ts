import { inflateSync } from 'node:zlib'

/** A PDF as its readers find it. */
export interface ReadPdf {
  /** What is written, page by page, piece by piece in the order of reading. */
  readonly pages: readonly (readonly string[])[]
  /** All objects as they stand in the file, without their streams. */
  readonly objects: string
}

/**
 * Reads a PDF with standard fonts: finds every object by the table at the end of the file, follows pages to their streams,
 * unpacks them, and reads the strings that are shown. Throws where the structure is broken.
 */
export function readPdf(bytes: Buffer): ReadPdf {
  const file = bytes.toString('latin1')
  if (!/^%PDF-1\.\d\n/.test(file) || !/%%EOF\s*$/.test(file)) throw new Error('This is no PDF')
  const [, start] = /startxref\s+(\d+)\s+%%EOF\s*$/.exec(file) ?? []
  const table = file.slice(Number(start))
  if (!table.startsWith('xref')) throw new Error('The table of objects is not where the file says')
  const objects = new Map<number, string>()
  const [, count] = /^xref\s+0 (\d+)/.exec(table) ?? []
  const entries = [...table.matchAll(/^(\d{10}) (\d{5}) ([nf])/gm)]
  if (entries.length !== Number(count)) throw new Error('The table of objects has other lines than it says')
  for (const [index, [, offset, , used]] of entries.entries()) {
    if (used !== 'n') continue
    const body = file.slice(Number(offset))
    if (!body.startsWith(`${index} 0 obj`)) throw new Error(`Object ${index} is not where the table says`)
    objects.set(index, body.slice(0, body.indexOf('endobj')))
  }
  const [, root] = /\/Root (\d+) 0 R/.exec(table) ?? []
  const catalog = objects.get(Number(root)) ?? ''
  const tree = objects.get(reference(catalog, 'Pages')) ?? ''
  const kids = [...(/\/Kids \[([^\]]*)\]/.exec(tree)?.[1] ?? '').matchAll(/(\d+) 0 R/g)].map(([, id]) => Number(id))
  return {
    pages: kids.map((id) => shown(unpacked(objects.get(reference(objects.get(id) ?? '', 'Contents')) ?? ''))),
    objects: [...objects.values()].map((body) => body.split('stream')[0]).join('\n'),
  }
}

const reference = (body: string, name: string): number => Number(new RegExp(`/${name} (\\d+) 0 R`).exec(body)?.[1])

function unpacked(body: string): string {
  const [, length] = /\/Length (\d+)/.exec(body) ?? []
  const start = body.indexOf('stream\n') + 'stream\n'.length
  return inflateSync(Buffer.from(body.slice(start, start + Number(length)), 'latin1')).toString('latin1')
}

/** The strings of each text object, put together: kerning cuts words into pieces. */
const shown = (content: string): string[] =>
  [...content.matchAll(/BT\n([\s\S]*?)ET/g)].map(([, text = '']) =>
    [...text.matchAll(/<([0-9a-f]*)>/g)]
      .map(([, hex = '']) => new TextDecoder('windows-1252').decode(Buffer.from(hex, 'hex')))
      .join(''),
  )
