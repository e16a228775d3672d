/* The pictures of this page in IndexedDB, so that a reload or a visit to another page loses none. */

const NAME = "darkroom-studio";
const STORE = "pictures";

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

/** Store a picture with its task. */
export function keep(picture) {
  const { id, file, address, name, thumb, taskId, source, recipe, at } = picture;
  const { fields = [], overlay = null, summary = "" } = recipe ?? {};
  const task = recipe && taskId ? { taskId, recipe: { fields, summary, overlay: overlay && { name: overlay.name } } } : {};
  return inStore("readwrite", (store) => store.put({ id, at, file, address, name, thumb, source, ...task }));
}

export function drop(picture) {
  return inStore("readwrite", (store) => store.delete(picture.id));
}

/** Return what was stored, the oldest first. */
export async function kept() {
  const all = (await inStore("readonly", (store) => store.getAll())) ?? [];
  const [fresh, old] = [all.filter(({ at }) => Date.now() - at < MOST_AGE_MS), all.filter(({ at }) => Date.now() - at >= MOST_AGE_MS)];
  for (const each of old) drop(each);
  return fresh.sort((one, other) => one.at - other.at);
}
