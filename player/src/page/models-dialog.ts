/** The dialog of models: what is here, what can be had, what it takes. */

import { forecastMemory, WASM_LIMIT } from "../bundle/memory";
import { bundleBytes, type NamedBundle, partsOf } from "../bundle/schema";
import { type BundleSource, bundleAddress } from "../bundle/sources";
import type { Backend } from "../engine/runtime";
import { button, byId, fromTemplate, shownBytes, within } from "./dom";
import { chosenFiles, droppedFiles } from "./folder";
import type { Installing, ModelLibrary } from "./model-library";
import { attempt, notify, placeNotes, showError } from "./notes";

export interface ModelActions {
  use(model: NamedBundle): Promise<void>;
  /** After a model has come to this device. */
  arrived(model: NamedBundle): Promise<void>;
  /** Give back the memory of what is loaded. */
  unload(): void;
  /** After a model has been taken off this device. */
  removed(id: string): void;
}

interface Row {
  id: string;
  model: NamedBundle | undefined;
  stored: boolean;
  source: BundleSource | undefined;
}

export class ModelsDialog {
  readonly #dialog = byId("models", HTMLDialogElement);
  readonly #list = within(this.#dialog, ".list", HTMLElement);
  /** Sources that the user named, by the id under which they are on their way. */
  readonly #named = new Map<string, BundleSource>();
  current = "";
  loaded = "";

  constructor(
    readonly library: ModelLibrary,
    readonly backend: () => Backend,
    readonly actions: ModelActions,
  ) {
    byId("model", HTMLButtonElement).onclick = () => this.open();
    button(this.#dialog, ".close").onclick = () => this.#dialog.close();
    this.#dialog.onclose = placeNotes;
    this.#setUpFolder();
    this.#setUpAddress();
  }

  open(): void {
    this.show();
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  setMachine(text: string): void {
    within(this.#dialog, ".machine", HTMLElement).textContent = text;
  }

  /** Show all models as they are now. */
  show(): void {
    const rows = this.#rows();
    const cards = new Map(
      [...this.#list.children].map((card) => [(card as HTMLElement).dataset.id, card]),
    );
    for (const [place, row] of rows.entries()) {
      const card = (cards.get(row.id) as HTMLElement | undefined) ?? fromTemplate("model-card");
      card.dataset.id = row.id;
      cards.delete(row.id);
      if (this.#list.children[place] !== card) {
        this.#list.insertBefore(card, this.#list.children[place] ?? null);
      }
      this.#fill(card, row);
    }
    for (const card of cards.values()) card.remove();
    void this.#showSpace();
  }

  /** Bring a model here and use it, once nothing is being made. */
  async get(source: BundleSource, id: string): Promise<void> {
    try {
      const model = await this.library.install(source, id);
      this.#named.delete(id);
      notify(`${model.bundle.name} is on this device.`);
      await this.actions.arrived(model);
    } catch (error) {
      showError(error, "getting the model");
    }
    this.show();
  }

  #rows(): Row[] {
    const { stored, offered, installing } = this.library;
    const rows = new Map<string, Row>();
    for (const model of stored) {
      rows.set(model.id, { id: model.id, model, stored: true, source: undefined });
    }
    for (const [id, { model, base }] of offered) {
      const source: BundleSource = { kind: "url", base };
      if (!rows.has(id)) rows.set(id, { id, model, stored: false, source });
    }
    for (const id of installing.keys()) {
      const source = this.#named.get(id);
      if (!rows.has(id)) rows.set(id, { id, model: undefined, stored: false, source });
    }
    return [...rows.values()];
  }

  #fill(card: HTMLElement, { id, model, stored, source }: Row): void {
    const coming = this.library.installing.get(id);
    within(card, "h3", HTMLElement).textContent = model?.bundle.name ?? id;
    within(card, ".facts", HTMLElement).textContent = model ? facts(model) : "";
    within(card, ".memory", HTMLElement).textContent = model ? memory(model, this.backend()) : "";
    showLicences(card, model);
    showProgress(card, coming);
    const isCurrent = id === this.current;
    const running = Boolean(coming?.control);
    const set = (name: string, shown: boolean, label: string, action: () => void) => {
      const control = button(card, `.${name}`);
      control.hidden = !shown;
      control.textContent = label;
      control.setAttribute("aria-label", `${label}: ${model?.bundle.name ?? id}`);
      control.onclick = action;
    };
    card.classList.toggle("current", isCurrent);
    set("use", stored && !isCurrent, "Use", () => {
      if (model) void attempt("choosing the model", () => this.actions.use(model));
    });
    set("get", Boolean(source) && !stored && !running, coming ? "Resume" : "Get", () => {
      if (source) void this.get(source, id);
    });
    set("pause", running, "Pause", () => this.library.pause(id));
    set("unload", id === this.loaded, "Free memory", () => {
      this.actions.unload();
      this.show();
    });
    set("remove", stored || (Boolean(coming) && !running), "Remove from device", () => {
      void attempt("removing the model", async () => {
        if (id === this.loaded) this.actions.unload(); // it may be reading the files
        await this.library.remove(id);
        this.#named.delete(id);
        this.actions.removed(id);
        this.show();
      });
    });
  }

  async #showSpace(): Promise<void> {
    const { usage = 0, quota = 0 } = await navigator.storage.estimate();
    within(this.#dialog, ".space", HTMLElement).textContent =
      `This page uses ${shownBytes(usage)} of this device; the browser allows ${shownBytes(quota)}.`;
  }

  #setUpFolder(): void {
    const field = byId("folder", HTMLInputElement);
    byId("choose-folder", HTMLButtonElement).onclick = () => field.click();
    field.onchange = () => {
      const chosen = [...(field.files ?? [])];
      field.value = "";
      void this.#getFiles(async () => chosenFiles(chosen));
    };
    addEventListener("dragover", (event) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    });
    addEventListener("drop", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      const { items } = event.dataTransfer;
      const found = droppedFiles(items); // the items are gone after this turn
      void this.#getFiles(() => found);
    });
  }

  async #getFiles(find: () => Promise<ReadonlyMap<string, File>>): Promise<void> {
    this.open();
    await attempt("reading the folder", async () => {
      const files = await find();
      const id = "the folder that you chose";
      this.#named.set(id, { kind: "files", files });
      await this.get({ kind: "files", files }, id);
    });
  }

  #setUpAddress(): void {
    const form = byId("from-address", HTMLFormElement);
    const field = byId("address", HTMLInputElement);
    form.onsubmit = (event) => {
      event.preventDefault();
      void attempt("reading the address", async () => {
        const base = bundleAddress(field.value);
        this.#named.set(base, { kind: "url", base });
        field.value = "";
        await this.get({ kind: "url", base }, base);
      });
    };
  }
}

function facts({ bundle }: NamedBundle): string {
  const precisions = new Set(partsOf(bundle).map(([, { precision }]) => precision));
  const { architecture, sampling } = bundle;
  const steps = `${sampling.steps} steps of ${sampling.sampler}`;
  const kind = architecture === "sdxl" ? "SDXL" : "SD 1.5";
  return [shownBytes(bundleBytes(bundle)), kind, [...precisions].join(" and "), steps].join(" · ");
}

function memory({ bundle }: NamedBundle, backend: Backend): string {
  const { peak, heap } = forecastMemory(bundle, backend);
  const device = (navigator as { deviceMemory?: number }).deviceMemory;
  const needs = `Needs about ${shownBytes(peak)} of memory`;
  if (backend === "wasm" && heap > WASM_LIMIT) {
    return `${needs}: more than WebAssembly can address, so it needs WebGPU.`;
  }
  if (device && device < 8 && peak > device * 1e9) {
    return `${needs}; this device has ${device} GB, so it may fail.`;
  }
  return `${needs}.`;
}

function showLicences(card: HTMLElement, model: NamedBundle | undefined): void {
  const details = within(card, "details", HTMLElement);
  details.hidden = !model;
  if (!model) return;
  const { base, loras, music } = model.bundle.licences;
  const lines = [
    `Base model: ${base}`,
    ...loras.map((licence) => `LoRA: ${licence}`),
    ...music.map((licence) => `Music: ${licence}`),
  ];
  within(details, "ul", HTMLElement).replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })),
  );
}

function showProgress(card: HTMLElement, coming: Installing | undefined): void {
  const area = within(card, ".coming", HTMLElement);
  area.hidden = !coming;
  if (!coming) return;
  const { done, total, waiting } = coming.progress;
  const bar = within(area, "progress", HTMLProgressElement);
  bar.value = total ? done / total : 0;
  const state = {
    "": coming.control ? "" : ", paused",
    connection: ", the connection was lost, trying again",
    tab: "another tab is getting a model; this one waits",
  }[waiting];
  const bytes = total ? `${shownBytes(done)} of ${shownBytes(total)}` : "";
  const text = `${bytes}${state}`;
  bar.setAttribute("aria-label", text || "getting the model");
  within(area, "span", HTMLElement).textContent = text;
}
