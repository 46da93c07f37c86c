// Records the plain sound of the microphone: no cleaning, which removes traces of synthesis.

const LONGEST_MS = 10 * 60 * 1000;
const KINDS = [['audio/webm;codecs=opus', '.webm'], ['audio/mp4', '.m4a'], ['audio/ogg;codecs=opus', '.ogg']];

/** Why this page cannot record, or an empty text. */
export function whyNot() {
  if (!window.isSecureContext) {
    return 'Recording needs https, or this page opened as localhost on the machine that serves it: browsers give no microphone to others.';
  }
  return navigator.mediaDevices && window.MediaRecorder ? '' : 'This browser cannot record; choose a file.';
}

export class Recorder {
  #recorder = null;
  #pieces = [];

  /** Start; `level(peak)` gets how loud it is, from 0 to 1, and `done(file)` what was recorded, also if the time is up. */
  async start({ level, done }) {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    const [kind, suffix] = KINDS.find(([type]) => MediaRecorder.isTypeSupported(type)) ?? ['', '.webm'];
    this.#pieces = [];
    this.#recorder = new MediaRecorder(stream, kind ? { mimeType: kind } : {});
    const timer = setTimeout(() => this.stop(), LONGEST_MS);
    const unmeter = meter(stream, level);
    this.#recorder.ondataavailable = (event) => this.#pieces.push(event.data);
    this.#recorder.onstop = () => {
      clearTimeout(timer);
      unmeter();
      stream.getTracks().forEach((track) => track.stop());
      const moment = new Date().toISOString().slice(0, 19).replace('T', '-').replaceAll(':', '');
      done(new File(this.#pieces, `recording-${moment}${suffix}`, { type: kind.split(';')[0] }));
    };
    this.#recorder.start();
  }

  stop() {
    if (this.#recorder?.state === 'recording') this.#recorder.stop();
  }
}

/** Tell how loud a stream is, ten times a second; returns what ends it. */
function meter(stream, level) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  const samples = new Float32Array(analyser.fftSize);
  context.createMediaStreamSource(stream).connect(analyser);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    level(samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0));
  }, 100);
  return () => {
    clearInterval(timer);
    context.close();
  };
}
