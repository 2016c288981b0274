/** CLIP's cleaning of a text before it is split into tokens: repairs of ftfy, lower case. */

const ENTITIES: Record<string, string> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  hellip: "…",
  ndash: "–",
  mdash: "—",
  lsquo: "‘",
  rsquo: "’",
  ldquo: "“",
  rdquo: "”",
};
const ENTITY = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-z]+));/g;
/** Single characters that stand for several Latin letters. */
const LIGATURES = /[ĲĳŉǄ-ǌǱ-ǳﬀ-ﬆ]/g;
/** Half-width and full-width forms, and the ideographic space. */
const WIDE = /[\u3000\uff01-\uffef]/g;
const CONTROLS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  /[\u0000-\u0008\u000b\u000e-\u001f\u007f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;
const LINE_BREAKS = /\r\n?|[\u2028\u2029\u0085]/g;

/** Text as it is split into tokens; mojibake, which ftfy would also repair, stays as it is. */
export function cleanText(text: string): string {
  let cleaned = text;
  for (let before = ""; before !== cleaned; ) {
    before = cleaned;
    cleaned = repaired(cleaned);
  }
  return cleaned.replace(/\s+/gu, " ").trim().toLowerCase();
}

function repaired(text: string): string {
  return (text.includes("<") ? text : text.replace(ENTITY, entity))
    .replace(LIGATURES, (letters) => letters.normalize("NFKC"))
    .replace(WIDE, (letter) => letter.normalize("NFKC"))
    .replace(/[\u201c-\u201f]/g, '"')
    .replace(/[\u02bc\u2018-\u201b]/g, "'")
    .replace(LINE_BREAKS, "\n")
    .toWellFormed()
    .replace(CONTROLS, "")
    .normalize("NFC");
}

function entity(whole: string, decimal?: string, hexadecimal?: string, name = ""): string {
  const code = decimal ? Number(decimal) : Number.parseInt(hexadecimal ?? "", 16);
  if (code > 0 && code <= 0x10ffff) return String.fromCodePoint(code);
  return ENTITIES[name] ?? whole;
}
