// The sound of a recording as the browser can decode it: samples, then what is drawn of them.

const RATE_HZ = 16000;
const MOST_S = 1800;
const MOST_BYTES = 100 << 20;
const LONGEST_LOOK_MS = 3000;

/** Length of a recording as the player knows it, or NaN. */
export function durationOf(player) {
  return new Promise((resolve) => {
    const done = () => resolve(Number.isFinite(player.duration) ? player.duration : NaN);
    player.addEventListener('loadedmetadata', done, { once: true });
    player.addEventListener('error', () => resolve(NaN), { once: true });
    setTimeout(done, LONGEST_LOOK_MS);
  });
}

/**
 * Waveform and spectrogram of a recording: {low, high, levels, nColumns, nBins, durationS}.
 * Throws an Error whose message says why it cannot be drawn.
 */
export async function readSound(file, durationS) {
  if (durationS > MOST_S || file.size > MOST_BYTES) {
    throw new Error('The recording is too long to draw its sound here; the report has a picture of it.');
  }
  let decoded;
  try {
    const context = new OfflineAudioContext(1, 1, RATE_HZ);
    decoded = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error('This browser cannot decode the recording, so only its scores are drawn here; the service can, and the report shows the sound too.');
  }
  const mixed = decoded.getChannelData(0).slice();
  for (let channel = 1; channel < decoded.numberOfChannels; channel += 1) {
    const other = decoded.getChannelData(channel);
    for (let i = 0; i < mixed.length; i += 1) mixed[i] += other[i];
  }
  for (let i = 0; i < mixed.length; i += 1) mixed[i] /= decoded.numberOfChannels;
  return { ...(await drawn(mixed)), durationS: decoded.duration };
}

function drawn(samples) {
  const worker = new Worker('/static/spectrum.js', { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = (event) => resolve(event.data);
    worker.onerror = () => reject(new Error('The sound could not be drawn.'));
    worker.postMessage(samples, [samples.buffer]);
  }).finally(() => worker.terminate());
}
