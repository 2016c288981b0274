/** Downloads models to this device and removes them; one tab at a time. */

import { removeBundle } from "../bundle/store";
import type { DownloadCalls } from "./calls";
import { installBundle } from "./install";
import { serve } from "./rpc";

const LOCK = "dmm-models";

serve<DownloadCalls>(self, {
  async install(source, { signal, emit }) {
    const options = { signal };
    const free = await navigator.locks.request(LOCK, { ifAvailable: true }, async (lock) =>
      lock ? installBundle(source, emit, signal) : undefined,
    );
    if (free) return free;
    emit({ done: 0, total: 0, waiting: "tab" });
    return navigator.locks.request(LOCK, options, () => installBundle(source, emit, signal));
  },
  async remove(id) {
    await navigator.locks.request(LOCK, () => removeBundle(id));
    return undefined;
  },
});
