/** Texts as bytes under Java's names of character sets. */

type Encode = (text: string) => Buffer;

/** What a single-byte set does not have becomes `?`, as in Java. */
const singleByte =
  (last: number): Encode =>
  (text) =>
    Buffer.from(Array.from(text, (char) => (char.codePointAt(0)! <= last ? char.codePointAt(0)! : 0x3f)));
const littleEndian: Encode = (text) => Buffer.from(text, 'utf16le');
const bigEndian: Encode = (text) => Buffer.from(text, 'utf16le').swap16();

const CHARSETS: Readonly<Record<string, Encode>> = {
  'UTF-8': (text) => Buffer.from(text, 'utf8'),
  'US-ASCII': singleByte(0x7f),
  'ISO-8859-1': singleByte(0xff),
  'UTF-16LE': littleEndian,
  'UTF-16BE': bigEndian,
  'UTF-16': (text) => Buffer.concat([Buffer.from([0xfe, 0xff]), bigEndian(text)]),
};
export const CHARSET_NAMES = Object.keys(CHARSETS);

/** @throws Error when there is no such set. */
export function encoder(name: string): Encode {
  const encode = CHARSETS[name.toUpperCase()];
  if (!encode) throw new Error(`Charset is not supported: ${name}. Allowed values: ${CHARSET_NAMES.join(', ')}`);
  return encode;
}
