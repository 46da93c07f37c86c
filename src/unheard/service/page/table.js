// The recordings that were given, one a row: sorted, filtered, and written as files.

import { clock, made, save } from '/static/words.js';

const SIDES = { spoof: 'Synthetic', undecided: 'Undecided', bonafide: 'Human', none: 'No verdict', failed: 'Not scored' };
const ORDER = Object.keys(SIDES);

/** What a row says of an entry. */
export function told(entry) {
  const { result, problem } = entry;
  const verdict = result?.verdict;
  const side = verdict ? (verdict.decision ?? 'none') : entry.state === 'done' || problem || entry.state === 'cancelled' ? 'failed' : 'open';
  return {
    side,
    headline: entry.headline ?? { failed: entry.state === 'cancelled' ? 'Cancelled' : 'Not scored' }[side] ?? entry.step ?? '',
    segments: entry.segments ?? '',
    score: verdict?.score ?? null,
    n_doubts: verdict?.warnings.length ?? 0,
    duration_s: verdict?.duration_s ?? NaN,
  };
}

const KEYS = {
  given: (entry) => -entry.order,
  name: (entry) => entry.name.toLocaleLowerCase(),
  verdict: (entry) => ORDER.indexOf(told(entry).side) * 1e6 + (told(entry).score ?? 0),
  doubts: (entry) => -told(entry).n_doubts,
  length: (entry) => told(entry).duration_s || 0,
};

export class Table {
  #rows = new Map();

  /** `acts` has open(entry), forget(entry) and again(entry). */
  constructor(body, head, acts) {
    this.body = body;
    this.head = head;
    this.acts = acts;
    this.entries = [];
    this.sorted = { by: 'given', down: false };
    this.filter = { text: '', side: '' };
  }

  /** Entries as they are shown, in that order. */
  shown() {
    const { text, side } = this.filter;
    const wanted = this.entries.filter((entry) => (!side || told(entry).side === side) && entry.name.toLocaleLowerCase().includes(text.toLocaleLowerCase()));
    const key = KEYS[this.sorted.by];
    const sign = this.sorted.down ? -1 : 1;
    return wanted.sort((a, b) => {
      const [left, right] = [key(a), key(b)];
      return sign * (left < right ? -1 : left > right ? 1 : a.order - b.order);
    });
  }

  sort(by) {
    this.sorted = { by, down: this.sorted.by === by && !this.sorted.down };
    this.draw();
  }

  draw() {
    for (const cell of this.head.querySelectorAll('[data-sort]')) {
      const here = cell.dataset.sort === this.sorted.by;
      if (here) cell.setAttribute('aria-sort', this.sorted.down ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    }
    const focused = document.activeElement?.closest?.('tr')?.dataset.id;
    this.body.replaceChildren(...this.shown().map((entry) => this.#row(entry)));
    if (focused) this.#rows.get(focused)?.querySelector('a, button')?.focus();
  }

  /** Draw one row again, where it stands. */
  update(entry) {
    const old = this.#rows.get(entry.id);
    if (old?.isConnected) old.replaceWith(this.#row(entry));
  }

  #row(entry) {
    const { side, headline, segments, n_doubts, duration_s } = told(entry);
    const name = entry.result ? made('a', { href: `#/result/${entry.id}`, textContent: entry.name }) : made('span', { textContent: entry.name });
    const say = made('span', { className: `side ${side}`, textContent: headline });
    const verdict = [say];
    if (entry.problem) verdict.push(made('span', { className: 'small why', textContent: entry.problem.message }));
    if (entry.share !== undefined && side === 'open') verdict.push(made('progress', { max: 1, value: entry.share, ariaLabel: `Progress of ${entry.name}` }));
    const act = made('button', { type: 'button', className: 'quiet', textContent: 'Delete', ariaLabel: `Delete ${entry.name}`, disabled: side === 'open' });
    act.addEventListener('click', () => this.acts.forget(entry));
    const acts = [act];
    if (side === 'failed' && entry.file) {
      const again = made('button', { type: 'button', className: 'quiet', textContent: 'Try again', ariaLabel: `Try ${entry.name} again` });
      again.addEventListener('click', () => this.acts.again(entry));
      acts.unshift(again);
    }
    const cells = [
      ['Verdict', verdict],
      ['Segments', [segments]],
      ['Doubts', [entry.result ? `${n_doubts || 'none'}` : '']],
      ['Length', [entry.result ? clock(duration_s) : '']],
      ['Actions', acts],
    ];
    const head = made('th', { scope: 'row' }, name);
    head.setAttribute('role', 'rowheader');
    const row = made('tr', {}, head, ...cells.map(([title, inside]) => cell(title, inside)));
    row.setAttribute('role', 'row');
    row.dataset.id = entry.id;
    this.#rows.set(entry.id, row);
    return row;
  }
}

function cell(title, inside) {
  const element = made('td', { className: `of-${title.toLowerCase()}` }, ...inside);
  element.setAttribute('role', 'cell');
  element.dataset.head = title;
  return element;
}

const COLUMNS = {
  name: (entry) => entry.name,
  verdict: (entry) => told(entry).headline,
  decision: (entry) => entry.result?.verdict.decision,
  score: (entry) => entry.result?.verdict.score,
  spoof_probability: (entry) => entry.result?.verdict.spoof_probability,
  segments: (entry) => entry.segments,
  doubts: (entry) => entry.result?.verdict.warnings.join('; '),
  reason: (entry) => entry.result?.verdict.reason,
  duration_s: (entry) => entry.result?.verdict.duration_s,
  speech_s: (entry) => entry.result?.verdict.speech_s,
  operating_point: (entry) => entry.result?.verdict.operating_point,
  sha256: (entry) => entry.result?.audio.sha256,
  scored_at: (entry) => entry.result?.scored_at,
  detector: (entry) => entry.result && `${entry.result.verdict.detector.name} ${entry.result.verdict.detector.version}`,
  detector_sha256: (entry) => entry.result?.verdict.detector.sha256,
  request_id: (entry) => entry.result?.request_id ?? entry.problem?.requestId,
  error: (entry) => entry.problem?.message,
};

export function saveCsv(entries, name) {
  const lines = [Object.keys(COLUMNS), ...entries.map((entry) => Object.values(COLUMNS).map((value) => value(entry)))];
  save(`\ufeff${lines.map((line) => line.map(quoted).join(',')).join('\r\n')}\r\n`, name, 'text/csv');
}

/** A cell that no spreadsheet takes for a formula. */
function quoted(value) {
  if (typeof value === 'number') return `${value}`;
  const text = `${value ?? ''}`.replace(/^[=+\-@\t\r]/, "'$&");
  return `"${text.replaceAll('"', '""')}"`;
}

export function saveJson(entries, name) {
  const rows = entries.map(({ name: file, result, problem, state }) => {
    if (!result) return { name: file, error: problem?.message ?? state };
    const { report_html, ...rest } = result;
    return rest;
  });
  save(`${JSON.stringify(rows, null, 2)}\n`, name, 'application/json');
}
