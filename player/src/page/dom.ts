/** Elements of the page, templates, and how numbers are shown. */

/** The element with an id, which is there and of that kind. */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`no ${kind.name} #${id}`);
  return element;
}

/** The first element within another that a selector finds, which is there and of that kind. */
export function within<T extends Element>(
  parent: ParentNode,
  selector: string,
  kind: new () => T,
): T {
  const element = parent.querySelector(selector);
  if (!(element instanceof kind)) throw new Error(`no ${kind.name} ${selector}`);
  return element;
}

export function fromTemplate(id: string): HTMLElement {
  const { content } = byId(id, HTMLTemplateElement);
  return content.firstElementChild?.cloneNode(true) as HTMLElement;
}

export const button = (parent: ParentNode, selector: string): HTMLButtonElement =>
  within(parent, selector, HTMLButtonElement);

/** `4.2 s`, `1:05`. */
export function shownSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

/** `34 MB`, `1.3 GB`. */
export function shownBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Offer a file for saving. */
export function download(name: string, bytes: Uint8Array<ArrayBuffer>, type: string): void {
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Words of a text in at most 60 characters that any file system takes (`slug` of dmm). */
export function slug(text: string): string {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.join("-").slice(0, 60).replace(/-$/, "") || "clip";
}
