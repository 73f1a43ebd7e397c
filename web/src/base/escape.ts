/**
 * Characters that could change how the text around them reads: controls (C0, DEL, C1), formats (bidi, zero width) and
 * line separators.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * Text of hostile origin (names, paths, addresses), with unsafe characters shown as escapes. The result is still not
 * markup: it goes into text nodes only.
 */
export function visible(text: string): string {
  return text.replace(UNSAFE, (char) => SHORT[char] ?? `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
