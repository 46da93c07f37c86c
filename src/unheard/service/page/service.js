// Talks to the service: one recording in, one result out, whatever its length.

const ATONCE_S = 60;
const ATONCE_BYTES = 8 << 20;
const FIRST_LOOK_MS = 200;
const LONGEST_WAIT_MS = 2000;

/** What the service, or the way to it, says went wrong. */
export class Problem extends Error {
  constructor(message, code = '', requestId = '') {
    super(message);
    this.code = code;
    this.requestId = requestId;
  }
}

export class Service {
  constructor() {
    this.key = '';
  }

  /** Which detector answers, and what it takes. */
  async info() {
    return this.#ask('GET', '/v1/info');
  }

  /**
   * Score a recording: a short one at once, a long one as a job.
   * `onProgress({sent})` gets the share that is sent, `onProgress({scored_s})` the seconds that are scored.
   */
  async score(file, fields, durationS, signal, onProgress) {
    const short = file.size <= ATONCE_BYTES && !(durationS > ATONCE_S);
    if (short) {
      try {
        return await this.#send('/v1/score', file, fields, signal, onProgress);
      } catch (problem) {
        if (!['too_long', 'too_slow'].includes(problem.code)) throw problem;
      }
    }
    return this.#job(file, fields, signal, onProgress);
  }

  async #job(file, fields, signal, onProgress) {
    const { url } = await this.#send('/v1/jobs', file, fields, signal, onProgress);
    try {
      for (let wait = FIRST_LOOK_MS; ; wait = Math.min(1.5 * wait, LONGEST_WAIT_MS)) {
        await pause(wait, signal);
        const job = await this.#ask('GET', url, signal);
        if (job.status === 'done') return job.result;
        if (job.status === 'failed') throw problemOf(job.error);
        onProgress({ scored_s: job.progress_s, waiting: job.status === 'queued' });
      }
    } finally {
      // Whatever became of it, the service need not keep it.
      this.#ask('DELETE', url).catch(() => {});
    }
  }

  async #ask(method, url, signal) {
    let answer;
    try {
      answer = await fetch(url, { method, signal, headers: this.#headers() });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw unreachable();
    }
    const body = answer.status === 204 ? null : await answer.json().catch(() => null);
    if (!answer.ok) throw problemOf(body?.error, answer.status);
    return body;
  }

  // fetch cannot report how much of an upload is sent.
  #send(url, file, fields, signal, onProgress) {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append('file', file, file.name);
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const stop = () => request.abort();
      signal.addEventListener('abort', stop);
      request.open('POST', url);
      for (const [name, value] of Object.entries(this.#headers())) request.setRequestHeader(name, value);
      request.responseType = 'json';
      request.upload.onprogress = (event) => onProgress({ sent: event.loaded / Math.max(event.total, 1) });
      request.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
      request.onerror = () => reject(unreachable());
      request.onload = () => {
        if (request.status < 300 && request.response) resolve(request.response);
        else reject(problemOf(request.response?.error, request.status));
      };
      request.onloadend = () => signal.removeEventListener('abort', stop);
      request.send(form);
    });
  }

  #headers() {
    return this.key ? { Authorization: `Bearer ${this.key}` } : {};
  }
}

function unreachable() {
  return new Problem('The service did not answer. Check that it runs and that you are connected, then try again.');
}

function problemOf(error, status) {
  if (!error) return new Problem(`The service answered with status ${status} and no reason; try again later.`);
  return new Problem(error.message, error.code, error.request_id);
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException('cancelled', 'AbortError'));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
  });
}
