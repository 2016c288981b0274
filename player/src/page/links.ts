/** Copying a clip's link, and what to say of a link whose model is not here. */

import { UserError } from "../errors";
import type { ModelLibrary } from "./model-library";
import { notify } from "./notes";
import { type Recipe, type SharedRecipe, toFragment } from "./share";

/** Put the link that makes the same clip on the clipboard; UserError if its model has gone. */
export async function copyLink(recipe: Recipe | undefined, library: ModelLibrary): Promise<void> {
  const model = recipe && library.find(recipe.model);
  if (!recipe || !model) {
    throw new UserError("The model of this clip is no longer on this device.");
  }
  const url = new URL(location.href);
  url.search = "";
  url.hash = toFragment(recipe, model.bundle);
  await navigator.clipboard.writeText(url.href);
  notify("The link is copied: it makes the same clip wherever the model is.");
}

export function noteOfMissing({ from, model }: SharedRecipe): string {
  return from
    ? `This link's model comes from ${from}; to have the same clip, get it from there under Models.`
    : `This link's model (${model}) is not on this device, and this page does not offer it; ask who sent the link.`;
}
