/** Starts the page. */

import { Engine } from "./engine/engine";
import { chooseMachine } from "./page/machine";
import { attempt, warn } from "./page/notes";
import { registerServiceWorker } from "./page/offline";
import { Page } from "./page/page";

registerServiceWorker();
if (!isSecureContext) {
  warn("Browsers keep models only for pages of https:// or of this machine; open it from there.");
}
const machine = await chooseMachine(new URLSearchParams(location.search));
await attempt("opening the page", () => new Page(new Engine(machine)).start());
