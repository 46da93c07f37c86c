// A worker: samples in, waveform and spectrogram out.

import { spectrogram } from '/static/fft.js';

self.onmessage = (event) => {
  const picture = spectrogram(event.data);
  self.postMessage(picture, [picture.low.buffer, picture.high.buffer, picture.levels.buffer]);
};
