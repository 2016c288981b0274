/** The service worker: the page without a network, and isolation where a host sends no headers. */

const RELOADED = "dmm-player-reloaded";

/** Register it in built pages; a page that is not isolated is loaded once more through it. */
export function registerServiceWorker(): void {
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  const workers = navigator.serviceWorker;
  const isolate = () => {
    const isNeeded = !globalThis.crossOriginIsolated && workers.controller;
    if (!isNeeded || sessionStorage.getItem(RELOADED)) return;
    sessionStorage.setItem(RELOADED, "1"); // once: what does not help now will not help later
    location.reload();
  };
  workers.addEventListener("controllerchange", isolate);
  void workers.register("./sw.js").then(isolate, () => undefined); // without it the page works online
}
