// The clips as cards: image, prompt, settings, sound.

import { arrange, fromTemplate } from "./dom.js";
import { attach } from "./playback.js";
import { add, startDrag } from "./timeline.js";

const grid = document.querySelector("#clips .grid");
let known = null; // keys of the clips shown so far; null before the first

/** Shows the clips; onVary receives the clip whose settings go into the form. */
export function showClips(clips, count, onVary) {
  arrange(grid, clips, key, (clip) => card(clip, onVary));
  document.querySelector("#clips .empty").hidden = clips.length > 0;
  const shown = clips.length < count ? `the newest ${clips.length} of ${count}` : `${count || ""}`;
  document.querySelector("#clips-title small").textContent = shown;
  known = new Set(clips.map(key));
}

const key = (clip) => `${clip.id} ${clip.made}`;

function card(clip, onVary) {
  const element = fromTemplate("clip");
  const find = (selector) => element.querySelector(selector);
  const path = `/clips/${encodeURIComponent(clip.id)}`;
  element.classList.toggle("new", Boolean(known) && !known.has(key(clip)));
  find("img").src = `${path}.png?made=${clip.made}`;
  find("h3").textContent = clip.prompt;
  find(".facts").textContent = facts(clip);
  find(".play").setAttribute("aria-label", `Play ${clip.id}`);
  find(".add").setAttribute("aria-label", `Add ${clip.id} to the timeline`);
  find(".again").setAttribute("aria-label", `Vary ${clip.id}`);
  find(".save").href = `${path}.flac?made=${clip.made}`;
  find(".save").download = `${clip.id}.flac`;
  find(".save").setAttribute("aria-label", `Save ${clip.id}`);
  find(".add").onclick = () => add(clip.id);
  find(".again").onclick = () => onVary(clip);
  element.ondragstart = (event) => startDrag(event, clip.id);
  attach(find(".picture"), find(".play"), `${path}.flac?made=${clip.made}`, clip.duration_s, clip.id);
  return element;
}

function facts(clip) {
  const loras = (clip.loras ?? []).map((lora) => `LoRA\u00a0×\u00a0${lora.weight}`);
  return [`seed ${clip.seed}`, `${clip.steps} steps`, `guidance ${clip.guidance}`, ...loras].join(" · ");
}
