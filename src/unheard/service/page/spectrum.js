// A worker: samples in, waveform and spectrogram out.

import { spectrogram } from '/static/fft.js';

self.onmessage = (event) => {
  const found = spectrogram(event.data);
  self.postMessage(found, [found.low.buffer, found.high.buffer, found.levels.buffer]);
};
