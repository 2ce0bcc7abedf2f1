import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { Binary } from 'mongodb';

/** A long text, packed when it might be too much for a document of MongoDB, whose limit is 16 MB. */
export type PackedText = string | Binary;

/** Beyond, a text is packed: this costs about 10 ms a megabyte. */
const LONG = 4_000_000;

export const packText = (text: string): PackedText => (text.length <= LONG ? text : new Binary(deflateRawSync(text, { level: 1 })));
export const unpackText = (packed: PackedText): string => (typeof packed === 'string' ? packed : inflateRawSync(packed.buffer).toString());
