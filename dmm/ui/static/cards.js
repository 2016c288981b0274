// The clips as cards: image, prompt, settings, sound.

import { offer, send, trying } from "./api.js";
import { arrange, fromTemplate } from "./dom.js";
import { attach } from "./playback.js";
import { add, startDrag } from "./timeline.js";

const grid = document.querySelector("#clips .grid");
let known = null; // keys of the clips shown so far; null before the first

const onlyFavourites = document.getElementById("only-favourites");

/** Shows the clips; `on` has vary, reuse and refresh, the first two of which receive a clip. */
export function showClips(clips, count, on) {
  const wanted = clips.filter((clip) => clip.is_favourite || !onlyFavourites.checked);
  arrange(grid, wanted, key, (clip) => card(clip, on));
  onlyFavourites.onchange = () => showClips(clips, count, on);
  document.querySelector("#clips .empty").hidden = clips.length > 0;
  document.getElementById("no-favourites").hidden = clips.length === 0 || wanted.length > 0;
  const shown = clips.length < count ? `the newest ${clips.length} of ${count}` : `${count || ""}`;
  document.querySelector("#clips-title small").textContent = shown;
  known = new Set(clips.map(key));
}

const key = (clip) => `${clip.id} ${clip.made} ${clip.is_favourite}`;

function card(clip, on) {
  const element = fromTemplate("clip");
  const find = (selector) => element.querySelector(selector);
  const path = `/clips/${encodeURIComponent(clip.id)}`;
  element.classList.toggle("new", Boolean(known) && !known.has(key(clip)));
  find("img").src = `${path}.png?made=${clip.made}`;
  find("h3").textContent = clip.prompt;
  find(".facts").textContent = facts(clip);
  find(".play").setAttribute("aria-label", `Play ${clip.id}`);
  find(".add").setAttribute("aria-label", `Add ${clip.id} to the timeline`);
  find(".vary").setAttribute("aria-label", `Vary ${clip.id}`);
  find(".reuse").setAttribute("aria-label", `Use the settings of ${clip.id}`);
  find(".star").setAttribute("aria-label", `Favourite ${clip.id}`);
  find(".star").setAttribute("aria-pressed", clip.is_favourite);
  find(".delete").setAttribute("aria-label", `Delete ${clip.id}`);
  find(".save").href = `${path}.flac?made=${clip.made}`;
  find(".save").download = `${clip.id}.flac`;
  find(".save").setAttribute("aria-label", `Save ${clip.id}`);
  find(".add").onclick = (event) => add(clip.id) && showAdded(event.currentTarget);
  find(".vary").onclick = () => on.vary(clip);
  find(".reuse").onclick = () => on.reuse(clip);
  find(".star").onclick = () => change("favourite", { clip: clip.id, is_favourite: !clip.is_favourite }, on);
  find(".delete").onclick = () => remove(clip, on);
  element.ondragstart = (event) => startDrag(event, clip.id);
  attach(find(".picture"), find(".play"), `${path}.flac?made=${clip.made}`, clip.duration_s, clip.id);
  return element;
}

async function change(what, body, on) {
  await trying(() => send(`/api/${what}`, body));
  await on.refresh();
}

async function remove(clip, on) {
  await change("delete", { clip: clip.id }, on);
  offer(`${clip.id} deleted`, "Undo", () => change("restore", { clip: clip.id }, on));
}

/** On a phone the timeline is far below: the button itself says that the clip was added. */
function showAdded(button) {
  button.textContent = "Added ✓";
  setTimeout(() => (button.textContent = "Add"), 1500);
}

function facts(clip) {
  const names = clip.result?.loras ?? [];
  const loras = (clip.loras ?? []).map((lora, i) => `${names[i] ?? `LoRA ${lora.sha256.slice(0, 6)}`}\u00a0×\u00a0${lora.weight}`);
  const kind = clip.drift && !clip.toward ? ["variation"] : [];
  return [...kind, `seed ${clip.seed}`, `${clip.steps} steps`, `guidance ${clip.guidance}`, ...loras].join(" · ");
}
