/** Calls of workers: a request, events while it is under way, a result or an error; cancelled by a signal. */

import { UserError } from "../errors";

/** A worker's calls by name, with the types of arguments, events and results. */
export type Calls = Record<string, { args: unknown; event: unknown; result: unknown }>;

type Request = { id: number; name: string; args: unknown } | { id: number; cancel: true };
type Reply =
  | { id: number; event: unknown }
  | { id: number; result: unknown }
  | { id: number; error: { name: string; message: string } };

interface Pending {
  resolve(result: unknown): void;
  reject(error: unknown): void;
  onEvent(event: unknown): void;
}

export interface CallOptions<Event> {
  onEvent?: (event: Event) => void;
  signal?: AbortSignal;
  transfer?: Transferable[];
}

/** A worker as the page sees it. */
export class WorkerClient<C extends Calls> {
  readonly #pending = new Map<number, Pending>();
  #next = 0;
  #ended: Error | undefined;

  constructor(readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#take(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#end(new Error(event.message || "a worker could not be started"));
    };
  }

  call<N extends keyof C & string>(
    name: N,
    args: C[N]["args"],
    { onEvent, signal, transfer = [] }: CallOptions<C[N]["event"]> = {},
  ): Promise<C[N]["result"]> {
    if (this.#ended) return Promise.reject(this.#ended);
    signal?.throwIfAborted();
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onEvent: (event) => onEvent?.(event) });
      signal?.addEventListener("abort", () => this.worker.postMessage({ id, cancel: true }));
      this.worker.postMessage({ id, name, args } satisfies Request, transfer);
    });
  }

  /** End the worker; what is under way fails as cancelled. */
  terminate(): void {
    this.worker.terminate();
    this.#end(new DOMException("the worker was ended", "AbortError"));
  }

  get busy(): boolean {
    return this.#pending.size > 0;
  }

  #take(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    if (!pending) return;
    if ("event" in reply) {
      pending.onEvent(reply.event);
      return;
    }
    this.#pending.delete(reply.id);
    if ("result" in reply) pending.resolve(reply.result);
    else pending.reject(revived(reply.error));
  }

  #end(error: Error): void {
    this.#ended = error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

function revived({ name, message }: { name: string; message: string }): Error {
  if (name === "UserError") return new UserError(message);
  if (name === "AbortError") return new DOMException(message, name);
  return Object.assign(new Error(message), { name });
}

export interface Context<Event> {
  signal: AbortSignal;
  emit(event: Event, transfer?: Transferable[]): void;
}

export type Handlers<C extends Calls> = {
  [N in keyof C]: (args: C[N]["args"], context: Context<C[N]["event"]>) => Promise<C[N]["result"]>;
};

/** The part of a worker's global scope that is used. */
export interface WorkerScope {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

/** Answer calls within a worker. */
export function serve<C extends Calls>(scope: WorkerScope, handlers: Handlers<C>): void {
  const running = new Map<number, AbortController>();
  scope.onmessage = ({ data }: MessageEvent<Request>) => {
    if ("cancel" in data) running.get(data.id)?.abort();
    else void answer(data);
  };

  async function answer({ id, name, args }: Extract<Request, { name: string }>): Promise<void> {
    const control = new AbortController();
    running.set(id, control);
    const emit = (event: unknown, transfer: Transferable[] = []) =>
      scope.postMessage({ id, event } satisfies Reply, transfer);
    try {
      const result = await handlers[name](args, { signal: control.signal, emit });
      scope.postMessage({ id, result } satisfies Reply, []);
    } catch (error) {
      const { name: kind, message } = error instanceof Error ? error : new Error(String(error));
      scope.postMessage({ id, error: { name: kind, message } } satisfies Reply, []);
    } finally {
      running.delete(id);
    }
  }
}

/** Let messages of the page come in, cancelling among them. */
export function letMessagesIn(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    setTimeout(() => (signal.aborted ? reject(signal.reason) : resolve()));
  });
}
