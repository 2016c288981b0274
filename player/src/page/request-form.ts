/** The form: prompts, lengths, seed and sampling settings. */

import type { Bundle } from "../bundle/schema";
import { clipSeconds, type MelFormat } from "../codec/format";
import { defaultSettings, type Settings } from "../engine/settings";
import { SAMPLER_NAMES } from "../sampling/samplers";
import { type Part, secondsOfBars, type Timeline } from "../songs/plan";
import { button, byId, fromTemplate, within } from "./dom";
import type { SharedRecipe } from "./share";

const KEY = "dmm-player-form";
const MOST_PARTS = 20;
const input = (id: string): HTMLInputElement => byId(id, HTMLInputElement);

export interface FormValues {
  timeline: Timeline;
  seed: number;
  settings: Settings;
}

export class RequestForm {
  readonly element = byId("request", HTMLFormElement);
  readonly #parts = byId("parts", HTMLOListElement);
  readonly #sampler = byId("sampler", HTMLSelectElement);
  #bundle: Bundle | undefined;
  #clipSeconds = 5.12;
  /** Called when a prompt is about to be typed. */
  onIntent: () => void = () => undefined;

  constructor() {
    this.#sampler.append(...SAMPLER_NAMES.map((name) => new Option(name, name)));
    this.#addPart({ prompt: "", seconds: this.#clipSeconds });
    byId("then", HTMLButtonElement).onclick = () => {
      this.#addPart({ prompt: "", seconds: this.#lastSeconds() }).focus();
    };
    const settings = byId("settings", HTMLDetailsElement);
    settings.addEventListener("invalid", () => (settings.open = true), { capture: true });
    byId("defaults", HTMLButtonElement).onclick = () => this.#setDefaults();
    for (const id of ["loop", "bars", "bpm"]) input(id).oninput = () => this.#onLength();
    this.element.oninput = () => this.#remember();
    this.#parts.addEventListener("focusin", () => this.onIntent());
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.element.requestSubmit();
    });
  }

  /** Offer a model's prompts, and its settings where there are none of the user's. */
  setModel(bundle: Bundle, fmt: MelFormat): void {
    const isFirst = !this.#bundle;
    this.#bundle = bundle;
    this.#clipSeconds = clipSeconds(fmt);
    this.#setDefaults();
    this.#showChips(bundle.prompts);
    this.#fitSeconds();
    if (isFirst) this.#recall();
  }

  /** The values of all fields. */
  values(): FormValues {
    if (!this.#bundle) throw new Error("no model is chosen");
    const parts = this.#items().map((item) => ({
      prompt: within(item, ".prompt", HTMLTextAreaElement).value.trim(),
      seconds: Number(within(item, ".seconds", HTMLInputElement).value),
    }));
    return {
      timeline: { parts, crossfade: Number(input("crossfade").value), loop: input("loop").checked },
      seed: Number(input("seed").value),
      settings: {
        ...defaultSettings(this.#bundle),
        sampler: this.#sampler.value,
        steps: Number(input("steps").value),
        guidance: Number(input("guidance").value),
        negativePrompt: input("negative").value.trim(),
      },
    };
  }

  /** Fill in what a link or a kept clip says. */
  fill({ timeline, seed, settings }: Omit<SharedRecipe, "model" | "from">): void {
    this.#parts.replaceChildren();
    for (const part of timeline.parts) this.#addPart(part);
    input("crossfade").value = String(timeline.crossfade);
    input("loop").checked = timeline.loop;
    input("bars").value = "";
    input("seed").value = String(seed);
    this.#setDefaults();
    if (settings.sampler) this.#sampler.value = settings.sampler;
    if (settings.steps) input("steps").value = String(settings.steps);
    if (settings.guidance !== undefined) input("guidance").value = String(settings.guidance);
    if (settings.negativePrompt !== undefined) input("negative").value = settings.negativePrompt;
    this.#onLength();
  }

  /** Take the next seed, if the box for it is ticked. */
  nextSeed(): void {
    if (input("fresh").checked) input("seed").value = String(Number(input("seed").value) + 1);
    this.#remember();
  }

  #items(): HTMLElement[] {
    return [...this.#parts.children] as HTMLElement[];
  }

  #addPart({ prompt, seconds }: Part): HTMLTextAreaElement {
    const item = fromTemplate("part");
    const text = within(item, ".prompt", HTMLTextAreaElement);
    text.value = prompt;
    within(item, ".seconds", HTMLInputElement).value = shortNumber(seconds);
    button(item, ".drop").onclick = () => {
      item.remove();
      this.#onParts();
      within(this.#parts, ".prompt", HTMLTextAreaElement).focus();
    };
    this.#parts.append(item);
    this.#onParts();
    return text;
  }

  #onParts(): void {
    const items = this.#items();
    const several = items.length > 1;
    for (const [i, item] of items.entries()) {
      within(item, ".which", HTMLElement).textContent = several ? `Prompt ${i + 1}` : "Prompt";
      button(item, ".drop").hidden = !several;
      button(item, ".drop").setAttribute("aria-label", `Take out prompt ${i + 1}`);
    }
    byId("then", HTMLButtonElement).disabled = items.length >= MOST_PARTS;
    showFields("crossfade-label", several);
    this.#onLength();
  }

  /** A loop of one prompt is as long as its bars. */
  #onLength(): void {
    const bars = input("loop").checked && this.#items().length === 1;
    showFields("bars-row", bars);
    const seconds = within(this.#parts, ".seconds", HTMLInputElement);
    const [count, bpm] = [Number(input("bars").value), Number(input("bpm").value)];
    seconds.readOnly = bars && count > 0;
    if (seconds.readOnly && bpm > 0) seconds.value = shortNumber(secondsOfBars(count, bpm));
    this.#remember();
  }

  /** A clip of the former model becomes one of this model. */
  #fitSeconds(): void {
    const [item, more] = this.#items();
    if (!more && !input("loop").checked) {
      within(item, ".seconds", HTMLInputElement).value = shortNumber(this.#clipSeconds);
    }
  }

  #lastSeconds(): number {
    const last = this.#items().at(-1) as HTMLElement;
    return Number(within(last, ".seconds", HTMLInputElement).value) || this.#clipSeconds;
  }

  #setDefaults(): void {
    if (!this.#bundle) return;
    const settings = defaultSettings(this.#bundle);
    this.#sampler.value = settings.sampler;
    input("steps").value = String(settings.steps);
    input("guidance").value = String(settings.guidance);
    input("negative").value = settings.negativePrompt;
  }

  #showChips(prompts: readonly string[]): void {
    const chips = byId("chips", HTMLElement);
    chips.hidden = prompts.length === 0;
    chips.replaceChildren(
      ...prompts.map((prompt) => {
        const chip = document.createElement("button");
        chip.type = "button";
        chip.textContent = prompt;
        chip.onclick = () => {
          const last = this.#items().at(-1) as HTMLElement;
          within(last, ".prompt", HTMLTextAreaElement).value = prompt;
          this.#remember();
          this.onIntent();
        };
        return chip;
      }),
    );
  }

  #remember(): void {
    if (!this.#bundle) return;
    const parts = this.#items().map((item) => ({
      prompt: within(item, ".prompt", HTMLTextAreaElement).value,
      seconds: Number(within(item, ".seconds", HTMLInputElement).value),
    }));
    const ids = ["crossfade", "bars", "bpm", "seed"];
    const values = Object.fromEntries(ids.map((id) => [id, input(id).value]));
    const checks = { loop: input("loop").checked, fresh: input("fresh").checked };
    localStorage.setItem(KEY, JSON.stringify({ parts, values, checks }));
  }

  /** Restore what was typed when the page was last open. */
  #recall(): void {
    if (within(this.#parts, ".prompt", HTMLTextAreaElement).value) return; // typed meanwhile
    const { parts, values, checks } = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    for (const [id, value] of Object.entries(values ?? {})) input(id).value = String(value);
    for (const [id, value] of Object.entries(checks ?? {})) input(id).checked = Boolean(value);
    if (Array.isArray(parts) && parts.some(({ prompt }: Part) => prompt)) {
      this.#parts.replaceChildren();
      for (const part of parts) this.#addPart(part);
    }
  }
}

/** Show or hide a row; what is hidden is disabled too, so that no wrong number in it stops Make. */
function showFields(id: string, shown: boolean): void {
  const row = byId(id, HTMLElement);
  row.hidden = !shown;
  for (const field of row.querySelectorAll("input")) field.disabled = !shown;
}

const shortNumber = (value: number): string => String(Number(value.toFixed(3)));
