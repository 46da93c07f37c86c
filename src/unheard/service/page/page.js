// The page: takes a recording, shows what the service says of it.

import { Chart, clock } from '/static/chart.js';
import { Recorder, whyNot } from '/static/recorder.js';
import { Report, makeTimesButtons, save } from '/static/report.js';
import { Service } from '/static/service.js';
import { durationOf, readSound } from '/static/sound.js';

const at = (id) => document.getElementById(id);
const service = new Service();
const recorder = new Recorder();
const chart = new Chart(at('canvas'));
const player = at('player');
let shown = null;
let running = null;
let endS = Infinity;

async function greet() {
  try {
    const info = await service.info();
    const { detector, limits } = info;
    at('key-form').hidden = true;
    at('takes').textContent = `Sound or video, up to ${Math.floor(limits.most_bytes / 1e6)} MB and ${lasting(limits.longest_job_s)}.`;
    at('detector-name').textContent = `${detector.name} ${detector.version}`;
    at('limits-list').replaceChildren(...detector.limits.map((line) => Object.assign(document.createElement('li'), { textContent: line })));
    at('limits').hidden = !detector.limits.length;
    at('version').textContent = `Unheard ${info.unheard}`;
    problem(null);
  } catch (error) {
    problem(error);
  }
}

function lasting(seconds) {
  const [count, unit] = seconds >= 3600 ? [seconds / 3600, 'hour'] : [seconds / 60, 'minute'];
  return `${Number(count.toFixed(1))} ${unit}${count === 1 ? '' : 's'}`;
}

function problem(error) {
  const box = at('problem');
  box.hidden = !error;
  box.replaceChildren();
  if (!error) return;
  const lines = [error.message, error.requestId ? `Request ${error.requestId}` : ''];
  box.append(...lines.filter(Boolean).map((line, place) => Object.assign(document.createElement('p'), { textContent: line, className: place ? 'small' : '' })));
  if (['no_key', 'wrong_key'].includes(error.code)) {
    at('key-form').hidden = false;
    at('key').focus();
  }
}

/** Show the step that runs: on screen at once, to screen readers when it is another step. */
function step(words, share) {
  at('step').textContent = words;
  const announced = words.replace(/[\d:.]+ (of|%).*/, '').trim();
  if (at('status').textContent !== announced) at('status').textContent = announced;
  if (share === undefined) at('progress').removeAttribute('value');
  else at('progress').value = share;
}

async function take(file) {
  if (running) return;
  running = new AbortController();
  const { signal } = running;
  problem(null);
  at('result').hidden = true;
  at('give').hidden = true;
  at('work').hidden = false;
  try {
    step(`Sending ${file.name}`);
    if (player.src) URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(file);
    const durationS = await durationOf(player);
    const decoding = readSound(file, durationS).catch((error) => error);
    const onProgress = ({ sent, scored_s, waiting }) => {
      if (sent < 1) step(`Sending: ${Math.round(100 * sent)} % of ${file.name}`, sent);
      else if (waiting) step('Waiting for its turn');
      else if (scored_s && durationS) step(`Listening: ${clock(scored_s)} of ${clock(durationS)}`, Math.min(scored_s / durationS, 1));
      else step('Listening');
    };
    const fields = { report: true, operating_point: at('operating-point').value, spoof_prior: prior(), channel: at('channel').value };
    const result = await service.score(file, fields, durationS, signal, onProgress);
    show(result);
    decoding.then((sound) => draw(result, sound));
  } catch (error) {
    at('give').hidden = false;
    if (error.name === 'AbortError') {
      at('status').textContent = 'Cancelled';
      at('choose').focus();
    } else problem(error);
  } finally {
    at('work').hidden = true;
    running = null;
  }
}

function prior() {
  const percent = Number(at('prior').value);
  return percent > 0 && percent < 100 ? percent / 100 : 0.5;
}

function show(result) {
  const report = new Report(result.report_html);
  shown = { report, result, name: result.audio.name };
  at('name').textContent = result.audio.name;
  report.fill(at('result'));
  makeTimesButtons(at('result'), listen);
  at('not-drawn').hidden = true;
  at('canvas').setAttribute('aria-label', report.picture());
  player.hidden = Boolean(player.error);
  at('give').hidden = true;
  at('before').hidden = true;
  at('result').hidden = false;
  draw(result, null);
  at('status').textContent = `${report.headline()}. ${result.audio.name}`;
  document.title = `${report.headline()}: ${result.audio.name}`;
  at('name').focus();
}

/** Draw the scores, and the sound once the browser has decoded it: the verdict need not wait. */
function draw(result, sound) {
  if (shown.result !== result) return;
  const failed = sound instanceof Error;
  at('not-drawn').hidden = !failed;
  at('not-drawn').textContent = failed ? sound.message : '';
  at('chart').classList.toggle('plain', failed || !sound);
  chart.show(result.verdict, failed ? null : sound);
}

function listen(startS, untilS = Infinity) {
  endS = untilS;
  player.currentTime = startS;
  player.play().catch(() => {});
}

function follow() {
  const head = at('head');
  head.hidden = player.paused && player.currentTime === 0;
  head.style.left = `${chart.placeOf(player.currentTime)}px`;
  if (player.currentTime >= endS) {
    endS = Infinity;
    player.pause();
  }
  if (!player.paused) requestAnimationFrame(follow);
}

async function record() {
  const button = at('record');
  if (button.classList.contains('on')) {
    recorder.stop();
    return;
  }
  problem(null);
  const started = Date.now();
  let timer;
  const over = () => {
    clearInterval(timer);
    button.classList.remove('on');
    button.textContent = 'Record';
    at('choose').disabled = false;
  };
  try {
    await recorder.start((file) => {
      over();
      take(file);
    });
  } catch (error) {
    over();
    problem(new Error(error.name === 'NotAllowedError' ? 'The browser was not allowed to use the microphone; allow it in its settings for this page, or choose a file.' : 'No microphone could be used; connect one, or choose a file.'));
    return;
  }
  button.classList.add('on');
  at('choose').disabled = true;
  at('status').textContent = 'Recording; press the same button to stop';
  const showTime = () => (button.textContent = `Stop and check (${clock(Math.floor((Date.now() - started) / 1000))})`);
  showTime();
  timer = setInterval(showTime, 500);
}

function again() {
  at('result').hidden = true;
  at('give').hidden = false;
  at('before').hidden = false;
  player.pause();
  document.title = 'Unheard: human or synthetic speech?';
  at('choose').focus();
}

function listenForDrops() {
  const drop = at('drop');
  let inside = 0;
  const mark = (change) => {
    inside = Math.max(0, inside + change);
    drop.classList.toggle('over', inside > 0);
  };
  addEventListener('dragenter', () => mark(1));
  addEventListener('dragleave', () => mark(-1));
  addEventListener('dragover', (event) => event.preventDefault());
  addEventListener('drop', (event) => {
    event.preventDefault();
    mark(-inside);
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
}

at('choose').addEventListener('click', () => at('file').click());
at('file').addEventListener('change', () => {
  const [file] = at('file').files;
  at('file').value = '';
  if (file) take(file);
});
at('record').addEventListener('click', record);
at('cancel').addEventListener('click', () => running?.abort());
at('again').addEventListener('click', again);
at('save-html').addEventListener('click', () => save(shown.report.html, `${shown.name}.report.html`, 'text/html'));
at('save-json').addEventListener('click', () => save(shown.report.json(), `${shown.name}.report.json`, 'application/json'));
at('key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  service.key = at('key').value.trim();
  greet();
});
at('canvas').addEventListener('click', (event) => listen(chart.timeAt(event.offsetX)));
player.addEventListener('play', follow);
player.addEventListener('seeked', follow);
player.addEventListener('pause', follow);
const reason = whyNot();
at('record').disabled = Boolean(reason);
at('record-note').hidden = !reason;
at('record-note').textContent = reason;
listenForDrops();
greet();
