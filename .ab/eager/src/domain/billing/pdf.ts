import PDFDocument from 'pdfkit'
import {
  customerLines,
  decimalText,
  factsOf,
  type InvoiceFace,
  moneyText,
  notesOf,
  sellerLines,
  titleOf,
  totalsOf,
} from './face.ts'

/** Fonts as files. Without them it is Helvetica, which every reader has, and which has the letters of Western Europe only. */
export interface PdfFonts {
  readonly regular: string
  readonly bold: string
}

/** Points, 72 to an inch. A4 is 595 × 842. */
const MARGIN = 50
const RIGHT = 595.28 - MARGIN
const WIDTH = RIGHT - MARGIN
/** Below this line a page is full; the number of the page stands under it. */
const BOTTOM = 842 - MARGIN - 24

const INK = '#1a1d21'
const MUTED = '#50565e'
const RULE = '#c3c8cf'

interface Column {
  readonly title: string
  readonly x: number
  readonly width: number
  readonly align: 'left' | 'right'
}

const COLUMNS: readonly [Column, Column, Column, Column] = [
  { title: 'Description', x: MARGIN, width: WIDTH - 270, align: 'left' },
  { title: 'Quantity', x: RIGHT - 260, width: 70, align: 'right' },
  { title: 'Unit price', x: RIGHT - 180, width: 75, align: 'right' },
  { title: 'Amount', x: RIGHT - 95, width: 95, align: 'right' },
]
/** Between the bottom of one row and the text of the next. */
const ROW_GAP = 8

/**
 * The invoice on paper: PDF 1.7, tagged, so that a screen reader reads a heading, a table and its cells. The same face gives
 * the same bytes, whoever makes it and when.
 */
export async function invoicePdf(face: InvoiceFace, fonts?: PdfFonts): Promise<Buffer> {
  const title = titleOf(face)
  const at = face.issuedAt ?? new Date(0)
  const doc = new PDFDocument({
    size: 'A4',
    margin: MARGIN,
    bufferPages: true,
    pdfVersion: '1.7',
    tagged: true,
    lang: 'en',
    displayTitle: true,
    info: { Title: title, Author: face.seller.name, CreationDate: at, ModDate: at },
  })
  const parts: Buffer[] = []
  doc.on('data', (part: Buffer) => parts.push(part))
  const done = new Promise<void>((resolve, reject) => doc.once('end', resolve).once('error', reject))

  const plain = fonts?.regular ?? 'Helvetica'
  const bold = fonts?.bold ?? 'Helvetica-Bold'
  const said = fonts === undefined ? withoutUnknownLetters : (text: string) => text
  const root = doc.struct('Document')
  doc.addStructure(root)
  type Element = ReturnType<typeof doc.struct>
  const within = (parent: Element, type: string, draw?: () => void, options: object = {}): Element => {
    const element = doc.struct(type, options)
    parent.add(element)
    if (draw !== undefined) {
      element.add(draw)
      element.end()
    }
    return element
  }
  const write = (text: string, x: number, y: number, options: PDFKit.Mixins.TextOptions & { bold?: boolean } = {}) => {
    const { bold: isBold = false, ...rest } = options
    doc.font(isBold ? bold : plain).text(said(text), x, y, { lineBreak: true, ...rest })
  }
  /** Lines one below the other; answers where the next thing may begin. */
  const block = (
    parent: Element,
    lines: readonly string[],
    x: number,
    y: number,
    width: number,
    color = INK,
  ): number => {
    if (lines.length === 0) return y
    within(parent, 'P', () => {
      doc.fontSize(10).fillColor(color)
      write(lines.join('\n'), x, y, { width, lineGap: 2 })
    })
    return doc.y
  }

  // The letter head: who it is from, and what it is.
  const half = WIDTH / 2 - 10
  within(root, 'P', () => {
    doc.fontSize(13).fillColor(INK)
    write(face.seller.name, MARGIN, MARGIN, { width: half, bold: true })
  })
  const sellerEnd = block(root, sellerLines(face.seller), MARGIN, doc.y + 4, half, MUTED)
  within(root, 'H1', () => {
    doc.fontSize(20).fillColor(INK)
    write(face.type === 'invoice' ? 'Invoice' : 'Credit note', MARGIN + half + 20, MARGIN, {
      width: half,
      align: 'right',
      bold: true,
    })
  })
  let y = doc.y + 4
  for (const [name, value] of factsOf(face)) {
    within(root, 'P', () => {
      doc.fontSize(10).fillColor(MUTED)
      write(name, MARGIN + half + 20, y, { width: 90 })
      doc.fillColor(INK)
      write(value, MARGIN + half + 110, y, { width: half - 90, align: 'right' })
    })
    y = doc.y + 2
  }

  y = Math.max(y, sellerEnd) + 22
  within(root, 'H2', () => {
    doc.fontSize(10).fillColor(MUTED)
    write('Bill to', MARGIN, y, { width: WIDTH })
  })
  within(root, 'P', () => {
    doc.fontSize(11).fillColor(INK)
    write(face.customer.name, MARGIN, doc.y + 2, { width: WIDTH, bold: true })
  })
  y = block(root, customerLines(face.customer), MARGIN, doc.y + 2, WIDTH) + 24

  // The lines. A table that goes on over the page says its head again, once for whoever listens.
  const table = within(root, 'Table')
  const head = (again: boolean) => {
    const row = again ? undefined : within(table, 'TR')
    for (const { title: name, x, width, align } of COLUMNS) {
      const draw = () => {
        doc.fontSize(9).fillColor(MUTED)
        write(name, x, y, { width, align, bold: true })
      }
      if (row === undefined) doc.markContent('Artifact', { type: 'Pagination' })
      if (row === undefined) draw()
      else within(row, 'TH', draw, { scope: 'Column' })
      if (row === undefined) doc.endMarkedContent()
    }
    row?.end()
    y = doc.y + 4
    rule(y)
    y += ROW_GAP
  }
  const rule = (at: number) => {
    doc.markContent('Artifact', { type: 'Layout' })
    doc.moveTo(MARGIN, at).lineTo(RIGHT, at).lineWidth(0.75).strokeColor(RULE).stroke()
    doc.endMarkedContent()
  }
  const newPage = () => {
    doc.addPage()
    y = MARGIN
  }
  head(false)
  for (const line of face.lines) {
    const cells = [
      line.description,
      decimalText(line.quantity),
      line.unitPrice === null ? '' : decimalText(line.unitPrice),
      moneyText(line.amount, face.currency),
    ]
    doc.font(plain).fontSize(10)
    const height = Math.max(
      ...COLUMNS.map(({ width }, index) => doc.heightOfString(said(cells[index] ?? ''), { width, lineGap: 1 })),
    )
    if (y + height > BOTTOM) {
      newPage()
      head(true)
    }
    const row = within(table, 'TR')
    for (const [index, { x, width, align }] of COLUMNS.entries())
      within(row, 'TD', () => {
        doc.fontSize(10).fillColor(INK)
        write(cells[index] ?? '', x, y, { width, align, lineGap: 1 })
      })
    row.end()
    y += height + ROW_GAP
  }
  table.end()

  const totals = totalsOf(face)
  if (y + totals.length * 18 + 30 > BOTTOM) newPage()
  rule(y)
  y += 10
  for (const { name, amount, strong = false } of totals) {
    within(root, 'P', () => {
      doc.fontSize(strong ? 12 : 10).fillColor(strong ? INK : MUTED)
      write(name, RIGHT - 260, y, { width: 140, bold: strong })
      doc.fillColor(INK)
      write(amount, RIGHT - 130, y, { width: 130, align: 'right', bold: strong })
    })
    y = doc.y + 5
  }
  const notes = notesOf(face)
  if (y + notes.length * 16 + 16 > BOTTOM) newPage()
  block(root, notes, MARGIN, y + 16, WIDTH, MUTED)
  root.end()

  const { count } = doc.bufferedPageRange()
  for (let index = 0; index < count; index++) {
    doc.switchToPage(index)
    // Under the margin no text may stand by itself.
    doc.page.margins.bottom = 0
    doc.markContent('Artifact', { type: 'Pagination' })
    doc.fontSize(8).fillColor(MUTED)
    write(`${title} · page ${index + 1} of ${count}`, MARGIN, 842 - MARGIN, { width: WIDTH, align: 'center' })
    doc.endMarkedContent()
  }
  doc.end()
  await done
  return Buffer.concat(parts)
}

/** Letters of Windows-1252 outside Latin-1, which Helvetica has, too. */
const WESTERN = '€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ'

/** What Helvetica has no letter for is shown as a question mark, where it would be any other letter otherwise. */
function withoutUnknownLetters(text: string): string {
  const plain = text.replaceAll('−', '-').normalize('NFC')
  return [...plain].map((letter) => (isWestern(letter) ? letter : '?')).join('')
}

const isWestern = (letter: string): boolean =>
  letter === '\n' || /^[\x20-\x7e\xa0-\xff]$/.test(letter) || WESTERN.includes(letter)
