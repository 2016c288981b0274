/** Cyclic redundancy checks of FLAC (RFC 9639) and PNG. */

/** FLAC's frame headers: polynomial x⁸ + x² + x + 1. */
export const crc8 = (bytes: Uint8Array): number => highFirst(bytes, 0x07, 8);

/** FLAC's frames: polynomial x¹⁶ + x¹⁵ + x² + 1. */
export const crc16 = (bytes: Uint8Array): number => highFirst(bytes, 0x8005, 16);

function highFirst(bytes: Uint8Array, polynomial: number, bits: number): number {
  const top = 1 << (bits - 1);
  const mask = 2 ** bits - 1;
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << (bits - 8);
    for (let i = 0; i < 8; i++) crc = (crc & top ? (crc << 1) ^ polynomial : crc << 1) & mask;
  }
  return crc;
}

/** PNG's chunks: CRC-32, the lowest bit first. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}
