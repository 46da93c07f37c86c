// The drawing of a verdict, made to be listened to: one cursor, a selection, zoom, and keys for all.

import { clock, signed } from '/static/words.js';

const STEP_S = 1;
const LEAST_SHOWN_S = 0.25;
const DRAG_PX = 6;
const STEPS_S = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600];
const TICK_PX = 75;
const SVG = 'http://www.w3.org/2000/svg';

export class Timeline {
  #verdict = null;
  #shown = [0, 1];
  #drag = null;
  #anchorS = 0;

  /** `place` holds the drawing and what lies over it; `player` plays; `changed()` is called when anything changes. */
  constructor(place, player, changed) {
    this.place = place;
    this.player = player;
    this.changed = changed;
    this.selected = null;
    this.loop = false;
    this.head = place.querySelector('#head');
    this.band = place.querySelector('#selection');
    place.addEventListener('pointerdown', (event) => this.#press(event));
    place.addEventListener('pointermove', (event) => this.#move(event));
    place.addEventListener('pointerup', (event) => this.#release(event));
    place.addEventListener('pointercancel', () => (this.#drag = null));
    place.addEventListener('keydown', (event) => this.#key(event));
    for (const name of ['play', 'pause', 'seeked', 'loadedmetadata', 'error']) player.addEventListener(name, () => this.#follow());
    new ResizeObserver(() => this.#lay()).observe(place);
  }

  /** Show the drawing that stands in the place, of a verdict. */
  show(verdict) {
    this.#verdict = verdict;
    this.selected = null;
    this.loop = false;
    this.cursorS = 0;
    this.#shown = [0, this.lengthS];
    this.place.setAttribute('aria-valuemax', this.lengthS.toFixed(2));
    const drawing = this.place.querySelector('svg.timeline');
    drawing.setAttribute('aria-hidden', 'true'); // the slider around it has its words
    this.#lay();
  }

  get lengthS() {
    return Math.max(this.#verdict.duration_s, 1e-3);
  }

  get zoomed() {
    return this.#shown[1] - this.#shown[0] < this.lengthS - 1e-6;
  }

  get canPlay() {
    return Boolean(this.player.src) && !this.player.error;
  }

  /** Where the cursor is, in words. */
  words() {
    const score = this.#scoreAt(this.cursorS);
    const part = score === undefined ? 'not scored' : `score ${signed(score)}`;
    return `${clock(this.cursorS)} of ${clock(this.lengthS)}, ${part}`;
  }

  toggle() {
    if (!this.canPlay) return;
    if (!this.player.paused) {
      this.player.pause();
      return;
    }
    const [from, until] = this.#span();
    if (this.cursorS < from || this.cursorS >= until - 0.01) this.#go(from);
    this.player.play().catch(() => {});
  }

  setLoop(on) {
    this.loop = on;
    if (on && !this.selected) this.selected = this.#segmentAt(this.cursorS);
    this.#lay();
  }

  /** Choose a stretch and listen to it. */
  listen(startS, endS) {
    this.select(startS, endS);
    if (this.zoomed && (startS < this.#shown[0] || endS > this.#shown[1])) this.#look(startS);
    if (this.canPlay) this.player.play().catch(() => {});
  }

  select(startS, endS) {
    this.selected = endS - startS > 0.01 ? [this.#inside(startS), this.#inside(endS)] : null;
    this.#go(this.#inside(startS));
  }

  /** Show half as much, or twice as much; a selection is zoomed to at once. */
  zoom(factor) {
    const [from, until] = this.#shown;
    const chosen = factor < 1 && this.selected && this.selected[1] - this.selected[0] < until - from;
    const width = Math.min(this.lengthS, Math.max(LEAST_SHOWN_S, chosen ? 1.1 * (this.selected[1] - this.selected[0]) : factor * (until - from)));
    const middle = chosen ? (this.selected[0] + this.selected[1]) / 2 : this.cursorS;
    this.#view(middle - width / 2, width);
  }

  whole() {
    this.#view(0, this.lengthS);
  }

  /** Move what is shown by a share of it. */
  pan(share) {
    const [from, until] = this.#shown;
    this.#view(from + share * (until - from), until - from);
  }

  #view(from, width) {
    const start = Math.min(Math.max(0, from), this.lengthS - width);
    this.#shown = [start, start + width];
    this.#lay();
  }

  #look(atS) {
    const width = this.#shown[1] - this.#shown[0];
    this.#view(atS - 0.1 * width, width);
  }

  #inside(seconds) {
    return Math.min(Math.max(0, seconds), this.lengthS);
  }

  #go(seconds) {
    this.cursorS = this.#inside(seconds);
    if (this.canPlay) this.player.currentTime = this.cursorS;
    if (this.zoomed && (this.cursorS < this.#shown[0] || this.cursorS > this.#shown[1])) this.#look(this.cursorS);
    this.#lay();
  }

  /** What is played: the selection, or all. */
  #span() {
    return this.selected ?? [0, this.lengthS];
  }

  #follow() {
    if (!this.#verdict) return;
    if (this.canPlay) this.cursorS = this.#inside(this.player.currentTime);
    if (!this.player.paused) {
      const [from, until] = this.#span();
      if (this.cursorS >= until - 0.005 || this.player.ended) {
        if (this.loop) this.player.currentTime = from;
        else if (this.selected) {
          this.player.pause();
          this.player.currentTime = until;
        }
      }
      if (this.zoomed && (this.cursorS > this.#shown[1] || this.cursorS < this.#shown[0])) this.#look(this.cursorS);
      requestAnimationFrame(() => this.#follow());
    } else if (this.player.ended && this.loop) {
      this.player.currentTime = this.#span()[0];
      this.player.play().catch(() => {});
    }
    this.#lay();
  }

  #timeAt(event) {
    const box = this.place.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return this.#inside(this.#shown[0] + share * (this.#shown[1] - this.#shown[0]));
  }

  #press(event) {
    if (event.button) return;
    this.#drag = { fromX: event.clientX, fromS: this.#timeAt(event), wide: false };
    this.place.setPointerCapture(event.pointerId);
  }

  #move(event) {
    if (!this.#drag) return;
    if (Math.abs(event.clientX - this.#drag.fromX) > DRAG_PX) this.#drag.wide = true;
    if (!this.#drag.wide) return;
    const ends = [this.#drag.fromS, this.#timeAt(event)].sort((a, b) => a - b);
    this.selected = ends;
    this.#lay();
  }

  #release(event) {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag) return;
    if (drag.wide) {
      this.select(...this.selected);
      return;
    }
    this.selected = null;
    this.#go(this.#timeAt(event));
    if (this.canPlay) this.player.play().catch(() => {});
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.key.startsWith('Page') ? 0.5 * (this.#shown[1] - this.#shown[0]) : Math.min(STEP_S, (this.#shown[1] - this.#shown[0]) / 20);
    const moves = { ArrowLeft: -step, ArrowRight: step, ArrowDown: -step, ArrowUp: step, PageDown: step, PageUp: -step, Home: -this.lengthS, End: this.lengthS };
    const does = {
      ' ': () => this.toggle(),
      l: () => this.setLoop(!this.loop),
      '+': () => this.zoom(0.5),
      '=': () => this.zoom(0.5),
      '-': () => this.zoom(2),
      0: () => this.whole(),
      n: () => this.#segment(1),
      p: () => this.#segment(-1),
      Escape: () => this.select(this.cursorS, this.cursorS),
    };
    if (event.key in moves) this.#step(moves[event.key], event.shiftKey);
    else if (event.key in does) does[event.key]();
    else return;
    event.preventDefault();
  }

  /** Move the cursor; with shift the selection grows from where that began. */
  #step(byS, grow) {
    const edgeS = grow && this.selected ? (this.#anchorS === this.selected[0] ? this.selected[1] : this.selected[0]) : this.cursorS;
    const toS = this.#inside(edgeS + byS);
    if (!grow) {
      this.#go(toS);
      return;
    }
    if (!this.selected) this.#anchorS = this.cursorS;
    this.selected = [this.#anchorS, toS].sort((a, b) => a - b);
    this.#lay();
  }

  #segment(by) {
    const all = this.#segments();
    const current = all.findIndex(({ end_s }) => this.cursorS < end_s - 0.01);
    const next = all[Math.min(Math.max(0, (current < 0 ? all.length - 1 : current) + by), all.length - 1)];
    if (next) this.select(next.start_s, next.end_s);
  }

  /** Segments, or where the detector has none, windows. */
  #segments() {
    const { segments, windows } = this.#verdict;
    return segments?.length ? segments : windows;
  }

  #segmentAt(seconds) {
    const found = this.#segments().find(({ start_s, end_s }) => start_s <= seconds && seconds < end_s);
    return found ? [found.start_s, found.end_s] : null;
  }

  #scoreAt(seconds) {
    const over = this.#verdict.windows.filter(({ start_s, end_s, score }) => score !== null && start_s <= seconds && seconds < end_s);
    return over.length ? over.reduce((sum, { score }) => sum + score, 0) / over.length : undefined;
  }

  /** Put drawing, cursor and selection where they belong. */
  #lay() {
    const drawing = this.place.querySelector('svg.timeline');
    if (!drawing || !this.#verdict) return;
    const [from, until] = this.#shown;
    const scale = 1000 / this.lengthS;
    for (const inner of drawing.querySelectorAll('svg.along')) {
      inner.setAttribute('viewBox', `${from * scale} 0 ${(until - from) * scale} 100`);
    }
    this.#ticks(drawing.querySelector('.times'));
    const percent = (seconds) => (100 * (seconds - from)) / (until - from);
    const at = percent(this.cursorS);
    this.head.hidden = at < -0.01 || at > 100.01;
    this.head.style.left = `${Math.min(Math.max(0, at), 100)}%`;
    const [start, end] = (this.selected ?? [0, 0]).map((seconds) => Math.min(Math.max(0, percent(seconds)), 100));
    this.band.hidden = !this.selected || end <= start;
    this.band.style.left = `${start}%`;
    this.band.style.width = `${end - start}%`;
    this.place.setAttribute('aria-valuenow', this.cursorS.toFixed(2));
    this.place.setAttribute('aria-valuetext', this.words());
    this.changed();
  }

  #ticks(group) {
    const [from, until] = this.#shown;
    const width = this.place.clientWidth;
    const key = `${from} ${until} ${width}`;
    if (!width || group.dataset.drawn === key) return;
    group.dataset.drawn = key;
    const foot = group.dataset.foot ??= group.querySelector('.tick').getAttribute('y1');
    const step = STEPS_S.find((candidate) => (until - from) / candidate <= width / TICK_PX) ?? until - from;
    const made = [];
    for (let count = Math.ceil(from / step - 1e-6); count * step <= until + 1e-6; count += 1) {
      const share = (count * step - from) / (until - from);
      const x = `${100 * share}%`;
      const kind = share * width < 16 ? 'time first' : (1 - share) * width < 20 ? 'time last' : 'time';
      made.push(drawn('line', { class: 'tick', x1: x, x2: x, y1: foot, y2: `${parseFloat(foot) + 1}%` }));
      made.push(drawn('text', { class: kind, x, y: '100%', dy: '-4' }, step < 0.1 ? `${(count * step).toFixed(2)} s` : clock(count * step)));
    }
    group.replaceChildren(...made);
  }
}

function drawn(tag, attributes, text = '') {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}
