import { z } from 'zod'
import { type Asset, amount, assets } from '../../kit/money.ts'

/** Kobo and cents are our minor units too: numbers in most answers, text in some. */
export const Minor = z.union([z.int().nonnegative(), z.string().regex(/^\d{1,18}$/)]).transform(amount)

/** Those that the books know. Another one is nothing of ours. */
export const Currency = z.enum(Object.keys(assets) as [Asset, ...Asset[]])

/** A text as one part of a path, whatever letters it has. */
export const segment = (text: string): string => encodeURIComponent(text.toWellFormed())
