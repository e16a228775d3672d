/* The pictures of this page in IndexedDB, so that a reload or a visit to another page loses none. */

const NAME = "darkroom-studio";
const STORE = "pictures";

/** The id of the overlay, which is no picture of the strip. */
const OVERLAY = "overlay";

/** Older pictures are dropped, so that no one's disk fills up. */
const MOST_AGE_MS = 7 * 24 * 3600 * 1000;

function opened() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "id" });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

/** Run `use` with the store; resolves to the result of its request, or to null where there is no IndexedDB. */
async function inStore(mode, use) {
  try {
    const base = await opened();
    return await new Promise((resolve, reject) => {
      const transaction = base.transaction(STORE, mode);
      const asked = use(transaction.objectStore(STORE));
      transaction.oncomplete = () => {
        base.close();
        resolve(asked.result);
      };
      transaction.onerror = () => reject(transaction.error);
    });
  } catch {
    return null; // a private window, or a full disk: the page works without
  }
}

/**
 * Store a picture. Its tasks are in the list of earlier tasks.
 * @param {any} picture
 */
export function keep({ id, at, file, address, name, thumb }) {
  return inStore("readwrite", (store) => store.put({ id, at, file, address, name, thumb }));
}

export function drop(picture) {
  return inStore("readwrite", (store) => store.delete(picture.id));
}

/** Store the overlay of the recipe, or that there is none. */
export function keepOverlay(file) {
  return inStore("readwrite", (store) => (file ? store.put({ id: OVERLAY, at: Date.now(), file }) : store.delete(OVERLAY)));
}

export async function keptOverlay() {
  return (await inStore("readonly", (store) => store.get(OVERLAY)))?.file ?? null;
}

/** Return the pictures that were stored, the oldest first. */
export async function kept() {
  const all = ((await inStore("readonly", (store) => store.getAll())) ?? []).filter(({ id }) => id !== OVERLAY);
  const [fresh, old] = [all.filter(({ at }) => Date.now() - at < MOST_AGE_MS), all.filter(({ at }) => Date.now() - at >= MOST_AGE_MS)];
  for (const each of old) drop(each);
  return fresh.sort((one, other) => one.at - other.at);
}
