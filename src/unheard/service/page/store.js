// Keeps results and recordings in this browser, and nowhere else.

const NAME = 'unheard';
const RESULTS = 'results';
const SOUNDS = 'sounds';
const MOST_SOUND_BYTES = 200 << 20;
const WANTED = 'unheard.keep';

/** What was kept; where the browser keeps nothing, it is there until the page is closed. */
export class Store {
  #database = null;

  /** Whether people want results to stay. */
  get wanted() {
    try {
      return localStorage.getItem(WANTED) !== 'no';
    } catch {
      return false;
    }
  }

  set wanted(yes) {
    try {
      localStorage.setItem(WANTED, yes ? 'yes' : 'no');
    } catch {
      // A browser that keeps nothing keeps no wish either.
    }
  }

  /** Every entry that was kept, in no order. */
  async all() {
    if (!this.wanted) return [];
    try {
      this.#database = await opened();
      return await asked(this.#database.transaction(RESULTS).objectStore(RESULTS).getAll());
    } catch {
      return [];
    }
  }

  /** Keep an entry, with its recording if there is one. */
  async keep(entry, sound) {
    if (!this.wanted) return;
    await this.#write((results, sounds) => {
      results.put(entry);
      if (sound && sound.size <= MOST_SOUND_BYTES) sounds.put(sound, entry.id);
    });
  }

  /** The recording of an entry, or undefined. */
  async sound(id) {
    try {
      return await asked(this.#database.transaction(SOUNDS).objectStore(SOUNDS).get(id));
    } catch {
      return undefined;
    }
  }

  async forget(id) {
    await this.#write((results, sounds) => {
      results.delete(id);
      sounds.delete(id);
    });
  }

  async forgetAll() {
    await this.#write((results, sounds) => {
      results.clear();
      sounds.clear();
    });
  }

  async #write(change) {
    try {
      this.#database ??= await opened();
      const writing = this.#database.transaction([RESULTS, SOUNDS], 'readwrite');
      change(writing.objectStore(RESULTS), writing.objectStore(SOUNDS));
      await new Promise((resolve, reject) => {
        writing.oncomplete = resolve;
        writing.onerror = writing.onabort = () => reject(writing.error);
      });
    } catch {
      // No room, or a browser that keeps nothing: what is shown stays until the page is closed.
    }
  }
}

function opened() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(RESULTS, { keyPath: 'id' });
    request.result.createObjectStore(SOUNDS);
  };
  return asked(request);
}

function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
