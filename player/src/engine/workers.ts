/** The workers, as the page starts them. */

import type { AudioCalls, DiffusionCalls, DownloadCalls, TextCalls } from "../workers/calls";
import { WorkerClient } from "../workers/rpc";

export const startDownloadWorker = (): WorkerClient<DownloadCalls> =>
  new WorkerClient(
    new Worker(new URL("../workers/download.worker.ts", import.meta.url), { type: "module" }),
  );

export const startTextWorker = (): WorkerClient<TextCalls> =>
  new WorkerClient(
    new Worker(new URL("../workers/text.worker.ts", import.meta.url), { type: "module" }),
  );

export const startDiffusionWorker = (): WorkerClient<DiffusionCalls> =>
  new WorkerClient(
    new Worker(new URL("../workers/diffusion.worker.ts", import.meta.url), { type: "module" }),
  );

export const startAudioWorker = (): WorkerClient<AudioCalls> =>
  new WorkerClient(
    new Worker(new URL("../workers/audio.worker.ts", import.meta.url), { type: "module" }),
  );
