/** Messages to the user: notes that disappear, and text for screen readers alone. */

import { isCancelled, sentence } from "../errors";
import { byId } from "./dom";

const REGIONS = ["says", "alert"];

export const notify = (text: string): void => show("says", text, 6000);
export const warn = (text: string): void => show("alert", text, 20_000);

/** For screen readers alone, where everybody else sees it happen. */
export function announce(text: string): void {
  byId("whispers", HTMLElement).textContent = text;
}

/** Show why something failed, unless it was cancelled. */
export function showError(error: unknown, doing: string): void {
  if (!isCancelled(error)) warn(sentence(error, doing));
}

/** Run what may fail, and show why it did. */
export async function attempt<T>(doing: string, action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    showError(error, doing);
    return undefined;
  }
}

/** Notes stand in the open dialog, if there is one: it covers and disables what is outside. */
export function placeNotes(): void {
  const host = document.querySelector("dialog[open]") ?? document.body;
  for (const id of REGIONS) {
    const region = byId(id, HTMLElement);
    if (region.parentElement !== host) host.append(region);
  }
}

function show(region: string, text: string, milliseconds: number): void {
  placeNotes();
  const note = document.createElement("div");
  note.className = "note";
  note.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "×";
  close.setAttribute("aria-label", "Close");
  close.onclick = () => note.remove();
  note.append(close);
  byId(region, HTMLElement).replaceChildren(note);
  setTimeout(() => note.remove(), milliseconds);
}
