// Lowest and highest sample and loudness by frequency of each column of a picture.

const FRAME = 512;
const MOST_COLUMNS = 1200;
const LEAST_STEP = 64;
const RANGE_DB = 70;

/**
 * Samples [T] -> {low, high [C], levels [C x K], nColumns C, nBins K}.
 * A level is 255 at the loudest place and 0 from 70 dB below it; low frequencies come first.
 */
export function spectrogram(samples) {
  const nBins = FRAME / 2;
  const nColumns = Math.max(1, Math.min(MOST_COLUMNS, Math.floor(samples.length / LEAST_STEP)));
  const low = new Float32Array(nColumns);
  const high = new Float32Array(nColumns);
  const power = new Float32Array(nColumns * nBins);
  const taper = Float64Array.from({ length: FRAME }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / FRAME));
  const re = new Float64Array(FRAME);
  const im = new Float64Array(FRAME);
  let loudest = 1e-6;
  for (let column = 0; column < nColumns; column += 1) {
    const start = Math.floor((column * samples.length) / nColumns);
    const end = Math.max(start + 1, Math.floor(((column + 1) * samples.length) / nColumns));
    for (let i = start; i < end; i += 1) {
      low[column] = Math.min(low[column], samples[i]);
      high[column] = Math.max(high[column], samples[i]);
    }
    const nFrames = Math.max(1, Math.floor((end - start) / FRAME));
    for (let frame = 0; frame < nFrames; frame += 1) {
      const middle = start + ((frame + 0.5) * (end - start)) / nFrames;
      const first = Math.round(middle - FRAME / 2);
      for (let n = 0; n < FRAME; n += 1) {
        re[n] = (samples[first + n] ?? 0) * taper[n];
        im[n] = 0;
      }
      transform(re, im);
      for (let bin = 0; bin < nBins; bin += 1) {
        power[column * nBins + bin] += (re[bin] ** 2 + im[bin] ** 2) / nFrames;
      }
    }
    for (let bin = 0; bin < nBins; bin += 1) loudest = Math.max(loudest, power[column * nBins + bin]);
  }
  const topDb = 10 * Math.log10(loudest);
  const levels = Uint8ClampedArray.from(power, (value) => 255 * ((10 * Math.log10(value + 1e-12) - topDb) / RANGE_DB + 1));
  return { low, high, levels, nColumns, nBins };
}

/** Fast Fourier transform in place; the length is a power of two. */
export function transform(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i += 1) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k += 1) {
      const cos = Math.cos((-2 * Math.PI * k) / size);
      const sin = Math.sin((-2 * Math.PI * k) / size);
      for (let i = k; i < n; i += size) {
        const j = i + half;
        const x = re[j] * cos - im[j] * sin;
        const y = re[j] * sin + im[j] * cos;
        re[j] = re[i] - x;
        im[j] = im[i] - y;
        re[i] += x;
        im[i] += y;
      }
    }
  }
}
