// Scores many recordings, a few at a time; one that fails stops no other.

import { durationOf } from '/static/sound.js';
import { clock } from '/static/words.js';

const AT_ONCE = 2;
const MOST_TRIES = 6;
const FIRST_WAIT_MS = 1500;
const COME_AGAIN = ['busy', 'too_many', 'queue_full'];
const KEY_WANTED = ['no_key', 'wrong_key'];

export class Queue {
  #running = 0;
  #held = false;
  #stop = new AbortController();

  /** `changed(entry)` is called at every step, `ended(entry)` of the last, `key(problem)` if one is wanted. */
  constructor(service, { changed, ended, key }) {
    this.service = service;
    this.waiting = [];
    this.tell = { changed, ended, key };
  }

  get busy() {
    return this.#running + this.waiting.length > 0;
  }

  add(entries) {
    this.waiting.push(...entries);
    this.#work();
  }

  /** Go on after a key was given. */
  resume() {
    this.#held = false;
    this.#work();
  }

  /** Drop what waits and stop what runs. */
  cancel() {
    this.#stop.abort();
    this.#stop = new AbortController();
    for (const entry of this.waiting.splice(0)) this.#end(entry, { state: 'cancelled' });
  }

  #work() {
    while (!this.#held && this.#running < AT_ONCE && this.waiting.length) this.#score(this.waiting.shift());
  }

  async #score(entry) {
    this.#running += 1;
    const { signal } = this.#stop;
    let end = { state: 'done' };
    try {
      end.result = await this.#tried(entry, signal);
    } catch (error) {
      if (KEY_WANTED.includes(error.code)) {
        this.#held = true;
        this.waiting.unshift(entry);
        this.#step(entry, 'Waiting for a key');
        this.tell.key(error);
        end = null;
      } else if (error.name === 'AbortError') end = { state: 'cancelled' };
      else end = { state: 'failed', problem: { message: error.message, requestId: error.requestId ?? '' } };
    }
    this.#running -= 1;
    if (end) this.#end(entry, end);
    this.#work();
  }

  async #tried(entry, signal) {
    this.#step(entry, 'Sending');
    const durationS = await durationOf(entry.file);
    const onProgress = ({ sent, scored_s, waiting }) => {
      if (sent < 1) this.#step(entry, `Sending: ${Math.round(100 * sent)} %`, sent);
      else if (waiting) this.#step(entry, 'Waiting for its turn');
      else if (scored_s && durationS) this.#step(entry, `Listening: ${clock(scored_s)} of ${clock(durationS)}`, Math.min(scored_s / durationS, 1));
      else this.#step(entry, 'Listening');
    };
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.service.score(entry.file, entry.fields, durationS, signal, onProgress);
      } catch (error) {
        if (!COME_AGAIN.includes(error.code) || tries === MOST_TRIES) throw error;
        this.#step(entry, 'The service is busy: waiting');
        await new Promise((resolve) => setTimeout(resolve, FIRST_WAIT_MS * tries));
        signal.throwIfAborted();
      }
    }
  }

  #step(entry, words, share) {
    Object.assign(entry, { state: 'running', step: words, share });
    this.tell.changed(entry);
  }

  #end(entry, end) {
    Object.assign(entry, end, { step: '' });
    this.tell.ended(entry);
  }
}
