/** An error that the user can fix: its message says what, where and what to do. */
export class UserError extends Error {
  override name = "UserError";
}

/** An error in a sentence; `doing` names the action that failed, such as "making the clip". */
export function sentence(error: unknown, doing: string): string {
  if (error instanceof UserError) return error.message;
  if (error instanceof Error && error.name === "QuotaExceededError") return NO_ROOM;
  const reason = error instanceof Error ? error.message : String(error);
  if (/bad_alloc|allocat|out of memory|memory access|RangeError: Array buffer/i.test(reason)) {
    return `There was not enough memory for ${doing}; close other tabs or choose a smaller model.`;
  }
  return `Something went wrong while ${doing}: ${reason.slice(0, 200)}. Try again; reload the page if it stays so.`;
}

/** Thrown by what is cancelled. */
export function isCancelled(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

const NO_ROOM =
  "The browser has no room left for this page; free up space by removing a model or clips here, or files on the disk.";
