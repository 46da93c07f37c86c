// Draws a verdict along time: waveform, spectrogram, and the scores of the parts.

const LEFT = 40;
const RIGHT = 4;
const GAP = 8;
const FOOT = 22;
const LEAST_SCORE = 4;
const STEPS_S = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600];

/** A canvas that keeps its picture right when its size or the colours change. */
export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.verdict = null;
    this.sound = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  show(verdict, sound) {
    this.verdict = verdict;
    this.sound = sound;
    this.draw();
  }

  /** Time in the recording at a place across the canvas, both from its left. */
  timeAt(across) {
    const share = (across - LEFT) / (this.canvas.clientWidth - LEFT - RIGHT);
    return Math.min(Math.max(share, 0), 1) * this.verdict.duration_s;
  }

  placeOf(seconds) {
    const width = this.canvas.clientWidth - LEFT - RIGHT;
    return LEFT + (width * Math.min(seconds, this.verdict.duration_s)) / Math.max(this.verdict.duration_s, 1e-3);
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!this.verdict || !width) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const pen = this.canvas.getContext('2d');
    pen.scale(ratio, ratio);
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const foot = height - FOOT;
    let top = 6;
    if (this.sound) {
      const wave = top + 0.2 * (foot - top);
      this.#waveform(pen, top, wave);
      const spectrum = wave + GAP + 0.34 * (foot - top);
      this.#spectrogram(pen, wave + GAP, spectrum);
      top = spectrum + GAP + 6;
    }
    this.#scores(pen, top, foot);
    this.#times(pen, foot);
  }

  #waveform(pen, top, bottom) {
    const { low, high, nColumns } = this.sound;
    const peak = Math.max(0.05, ...high, ...low.map((value) => -value));
    const middle = (top + bottom) / 2;
    const scale = (bottom - top) / 2 / peak;
    pen.fillStyle = colour('--wave');
    const step = this.#soundWidth() / nColumns;
    for (let column = 0; column < nColumns; column += 1) {
      const up = middle - high[column] * scale;
      const down = middle - low[column] * scale;
      pen.fillRect(LEFT + column * step, up, Math.max(step, 0.6), Math.max(down - up, 0.6));
    }
  }

  #spectrogram(pen, top, bottom) {
    const { levels, nColumns, nBins } = this.sound;
    const image = new ImageData(nColumns, nBins);
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    for (let column = 0; column < nColumns; column += 1) {
      for (let bin = 0; bin < nBins; bin += 1) {
        const level = levels[column * nBins + bin];
        const grey = dark ? level : 255 - level;
        const place = 4 * ((nBins - 1 - bin) * nColumns + column);
        image.data.set([grey, grey, grey, 255], place);
      }
    }
    const whole = new OffscreenCanvas(nColumns, nBins);
    whole.getContext('2d').putImageData(image, 0, 0);
    pen.imageSmoothingQuality = 'high';
    pen.drawImage(whole, LEFT, top, this.#soundWidth(), bottom - top);
    pen.strokeStyle = colour('--line');
    pen.strokeRect(LEFT + 0.5, top + 0.5, this.#width() - 1, bottom - top - 1);
    pen.fillStyle = colour('--soft');
    pen.textAlign = 'right';
    pen.fillText('8 kHz', LEFT - 5, top + 10);
    pen.fillText('0', LEFT - 5, bottom);
  }

  #scores(pen, top, bottom) {
    const [low, high] = this.verdict.thresholds;
    const parts = partsOf(this.verdict);
    const known = parts.filter((part) => part.score !== null).map((part) => Math.abs(part.score));
    const limit = 1.15 * known.reduce((most, size) => Math.max(most, size), Math.max(LEAST_SCORE, Math.abs(low), Math.abs(high)));
    for (const { start_s, end_s, decision } of this.verdict.segments ?? []) {
      if (decision !== 'spoof') continue;
      pen.fillStyle = colour('--synthetic');
      pen.fillRect(this.placeOf(start_s), top - 5, this.placeOf(end_s) - this.placeOf(start_s), 4);
    }
    const down = (value) => top + ((limit - value) / (2 * limit)) * (bottom - top);
    for (const [side, ceiling, floor] of [['bonafide', limit, high], ['undecided', high, low], ['spoof', low, -limit]]) {
      pen.globalAlpha = 0.08;
      pen.fillStyle = colour(COLOURS[side]);
      pen.fillRect(LEFT, down(ceiling), this.#width(), down(floor) - down(ceiling));
    }
    for (const { start_s, end_s, score } of parts) {
      // Whole pixels: neighbours must not blend.
      const from = Math.round(this.placeOf(start_s));
      const width = Math.round(this.placeOf(end_s)) - from;
      if (score === null) {
        pen.globalAlpha = 0.18;
        pen.fillStyle = colour('--silent');
        pen.fillRect(from, top, width, bottom - top);
        continue;
      }
      pen.fillStyle = colour(COLOURS[score < low ? 'spoof' : score >= high ? 'bonafide' : 'undecided']);
      pen.globalAlpha = 0.3;
      pen.fillRect(from, Math.min(down(score), down(0)), width, Math.abs(down(score) - down(0)));
      pen.globalAlpha = 1;
      pen.fillRect(from, down(score) - 1.25, width, 2.5);
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = colour('--soft');
    for (const [value, dashes] of [[low, [5, 4]], [high, [5, 4]], [0, []]]) {
      pen.setLineDash(dashes);
      pen.beginPath();
      pen.moveTo(LEFT, down(value));
      pen.lineTo(LEFT + this.#width(), down(value));
      pen.stroke();
    }
    pen.setLineDash([]);
    pen.fillStyle = colour('--soft');
    pen.textAlign = 'right';
    const step = [2, 5, 10, 20, 50, 100, 1000].find((candidate) => limit / candidate < 4) ?? limit;
    for (let value = -Math.floor(limit / step) * step; value <= limit; value += step) {
      pen.fillText(value > 0 ? `+${value}` : `${value}`.replace('-', '\u2212'), LEFT - 5, down(value) + 4);
    }
    pen.textAlign = 'left';
    pen.strokeStyle = colour('--paper');
    pen.lineWidth = 3;
    for (const [words, place] of [['more like human speech', top + 14], ['more like synthetic speech', bottom - 6]]) {
      pen.strokeText(words, LEFT + 6, place);
      pen.fillText(words, LEFT + 6, place);
    }
    pen.lineWidth = 1;
  }

  #times(pen, foot) {
    const duration = this.verdict.duration_s;
    const most = Math.max(2, Math.floor(this.#width() / 75));
    const step = STEPS_S.find((candidate) => duration / candidate <= most) ?? duration;
    pen.fillStyle = colour('--soft');
    for (let seconds = 0; seconds <= duration; seconds += step) {
      const place = this.placeOf(seconds);
      pen.fillRect(place, foot, 1, 4);
      pen.textAlign = seconds === 0 ? 'left' : place > this.canvas.clientWidth - 20 ? 'right' : 'center';
      pen.fillText(clock(seconds), place, foot + 17);
    }
  }

  #width() {
    return this.canvas.clientWidth - LEFT - RIGHT;
  }

  #soundWidth() {
    return this.placeOf(this.sound.durationS) - LEFT;
  }
}

const COLOURS = { bonafide: '--human', spoof: '--synthetic', undecided: '--open' };

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Parts that do not overlap, each with the mean of the windows over it, as the report has them. */
export function partsOf(verdict) {
  const changes = [];
  for (const { start_s, end_s, score } of verdict.windows) {
    if (score !== null) changes.push([start_s, score, 1], [end_s, -score, -1]);
    else changes.push([start_s, 0, 0], [end_s, 0, 0]);
  }
  changes.push([0, 0, 0], [verdict.duration_s, 0, 0]);
  changes.sort((a, b) => a[0] - b[0]);
  const parts = [];
  let total = 0;
  let count = 0;
  changes.forEach(([at, scoreChange, countChange], place) => {
    total += scoreChange;
    count += countChange;
    const next = changes[place + 1];
    if (next && next[0] > at) parts.push({ start_s: at, end_s: next[0], score: count ? total / count : null });
  });
  return parts;
}

/** A time as people write it: 0:04, 0:04.5, 1:02:03. */
export function clock(seconds) {
  const tenths = Math.round(10 * Math.max(0, seconds));
  const rest = tenths % 600;
  const minutes = Math.floor(tenths / 600) % 60;
  const hours = Math.floor(tenths / 36000);
  const second = `${Math.floor(rest / 10)}`.padStart(2, '0') + (rest % 10 ? `.${rest % 10}` : '');
  return hours ? `${hours}:${`${minutes}`.padStart(2, '0')}:${second}` : `${minutes}:${second}`;
}
