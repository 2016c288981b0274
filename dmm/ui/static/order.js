// The form: prompts, model and settings of the clips to generate.

import { send } from "./api.js";

const form = document.getElementById("order");
const KEY = "dmm-order";
let state = null;

export function setUp(initial) {
  state = initial;
  fill(form.model, Object.entries(state.models).map(([name, model]) => [name, `${model.label} (${model.kind})`]));
  fill(form.sampler, state.samplers.map((name) => [name, name]));
  for (const [name, value] of Object.entries(state.defaults)) form[name].value = value;
  for (const [name, value] of Object.entries(JSON.parse(localStorage.getItem(KEY) ?? "{}"))) put(name, value);
  onModel();
  form.model.onchange = onModel;
  for (const button of document.querySelectorAll(".examples button")) {
    button.onclick = () => {
      form.prompts.value = button.textContent;
      form.requestSubmit();
    };
  }
  form.oninput = () => {
    remember();
    showCount();
  };
}

function put(name, value) {
  const field = form.elements[name];
  if (!field) return;
  if (field.type === "checkbox") field.checked = value;
  else if (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value)) field.value = value;
}

function fill(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
}

/** Offers the LoRAs and the format of the chosen model. */
function onModel() {
  const model = state.models[form.model.value];
  const own = model.format || state.default_format;
  fill(form.format, [["", `as trained (${own})`], ...state.formats.map((name) => [name, name])]);
  const fieldset = document.getElementById("loras");
  fieldset.hidden = model.loras.length === 0;
  fieldset.querySelector(".choices").replaceChildren(...model.loras.map(choice));
  const chosen = JSON.parse(localStorage.getItem(KEY) ?? "{}").loras ?? [];
  for (const { name, weight } of chosen) chooseLora(name, weight);
  onLoras();
  showCount();
}

function choice(name) {
  const row = document.createElement("div");
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name });
  const weight = Object.assign(document.createElement("input"), { type: "number", min: -2, max: 2, step: 0.1, value: 1 });
  row.className = "choice";
  weight.setAttribute("aria-label", `Weight of ${state.loras[name].label}`);
  weight.disabled = true;
  box.onchange = () => {
    weight.disabled = !box.checked;
    onLoras();
  };
  label.append(box, state.loras[name].label);
  row.append(label, weight);
  return row;
}

function chooseLora(name, weight) {
  const box = [...form.querySelectorAll(".choice input[type=checkbox]")].find((input) => input.value === name);
  if (!box) return;
  box.checked = true;
  const field = box.closest(".choice").querySelector("input[type=number]");
  field.disabled = false;
  field.value = weight;
}

const loras = () =>
  [...form.querySelectorAll(".choice")]
    .filter((row) => row.querySelector("[type=checkbox]").checked)
    .map((row) => ({ name: row.querySelector("[type=checkbox]").value, weight: Number(row.querySelector("[type=number]").value) }));

/** Shows the first LoRA's anchor, else the model's, as the default. */
function onLoras() {
  const anchors = [...loras().map(({ name }) => state.loras[name].anchor), state.models[form.model.value].anchor];
  form.anchor.placeholder = anchors.find(Boolean) ?? "none";
  remember();
}

const prompts = () => form.prompts.value.split("\n").map((line) => line.trim()).filter(Boolean);

function showCount() {
  const count = prompts().length * Number(form.count.value);
  form.querySelector("button.main").textContent = count ? `Make ${count} clip${count === 1 ? "" : "s"}` : "Make clips";
}

function remember() {
  const names = ["prompts", "count", "seed", "model", "sampler", "steps", "guidance", "negative_prompt", "anchor"];
  const kept = Object.fromEntries(names.map((name) => [name, form[name].value]));
  localStorage.setItem(KEY, JSON.stringify({ ...kept, fresh: form.fresh.checked, loras: loras() }));
}

/** Sends the form; true if the job was started. */
export async function place() {
  const order = {
    prompts: prompts(), model: form.model.value, loras: loras(), format: form.format.value || null,
    anchor: form.anchor.value || null, negative_prompt: form.negative_prompt.value, sampler: form.sampler.value,
    count: Number(form.count.value), seed: Number(form.seed.value), steps: Number(form.steps.value),
    guidance: Number(form.guidance.value),
  };
  try {
    await send("/api/clips", order);
  } catch (error) {
    if (!error.replaces) throw error;
    const which = `${error.replaces.slice(0, 3).join(", ")}${error.replaces.length > 3 ? " …" : ""}`;
    if (!confirm(`${which}: already exist, with other settings. Replace them?`)) return false;
    await send("/api/clips", { ...order, replace: true });
  }
  if (form.fresh.checked) form.seed.value = order.seed + order.count * order.prompts.length;
  remember();
  return true;
}

/** Puts a clip's prompt and settings into the form, to be varied. */
export function take(clip) {
  put("prompts", clip.prompt);
  for (const name of ["seed", "steps", "guidance", "sampler", "negative_prompt"]) put(name, clip[name]);
  remember();
  showCount();
  form.prompts.focus();
  form.prompts.select();
}

form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
