// The page: takes recordings, has them scored, shows what the service says, and keeps it here.

import { Queue } from '/static/queue.js';
import { Recorder, whyNot } from '/static/recorder.js';
import { Report } from '/static/report.js';
import { Service } from '/static/service.js';
import { Store } from '/static/store.js';
import { Table, saveCsv, saveJson } from '/static/table.js';
import { Timeline } from '/static/timeline.js';
import { clock, lasting, made, save } from '/static/words.js';

const TITLE = 'Unheard: human or synthetic speech?';
const QUIET = 0.02;
const FULL = 0.97;

const at = (id) => document.getElementById(id);
const service = new Service();
const store = new Store();
const recorder = new Recorder();
const player = at('player');
const queue = new Queue(service, { changed, ended, key: problem });
const table = new Table(at('rows'), at('table-head'), { forget, again: (entry) => start([entry]) });
const timeline = new Timeline(at('chart'), player, controls);
let open = null;
let batch = [];
let recorded = null;

async function greet() {
  try {
    const info = await service.info();
    const { detector, limits } = info;
    if (!at('key-form').hidden) problem(null);
    at('key-form').hidden = true;
    at('takes').textContent = `Sound or video, any number, each up to ${Math.floor(limits.most_bytes / 1e6)} MB and ${lasting(limits.longest_job_s)}.`;
    at('detector-name').textContent = `${detector.name} ${detector.version}`;
    at('limits-list').replaceChildren(...detector.limits.map((line) => made('li', { textContent: line })));
    at('limits').hidden = !detector.limits.length;
    at('version').textContent = `Unheard ${info.unheard}`;
    queue.resume();
  } catch (error) {
    problem(error);
  }
}

function problem(error) {
  const box = at('problem');
  box.hidden = !error;
  box.replaceChildren();
  if (!error) return;
  const lines = [error.message, error.requestId ? `Request ${error.requestId}` : ''];
  box.append(...lines.filter(Boolean).map((line, place) => made('p', { textContent: line, className: place ? 'small' : '' })));
  if (['no_key', 'wrong_key'].includes(error.code)) {
    at('key-form').hidden = false;
    at('key').focus();
  }
}

function say(words) {
  if (at('status').textContent !== words) at('status').textContent = words;
}

// ---- giving recordings

function take(files) {
  if (!files.length) return;
  const fields = { report: true, operating_point: at('operating-point').value, spoof_prior: prior(), channel: at('channel').value };
  const order = Date.now();
  const entries = files.map((file, place) => ({ id: newId(), order: order + (files.length - place) / (files.length + 1), name: file.name, file, fields }));
  table.entries.push(...entries);
  location.hash = '#/';
  start(entries);
}

function start(entries) {
  problem(null);
  if (!queue.busy) batch = [];
  batch = [...new Set([...batch, ...entries])];
  for (const entry of entries) Object.assign(entry, { state: 'waiting', step: 'Waiting', problem: undefined });
  queue.add(entries);
  list();
  progress();
}

function newId() {
  return [...crypto.getRandomValues(new Uint8Array(9))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function prior() {
  const percent = Number(at('prior').value);
  return percent > 0 && percent < 100 ? percent / 100 : 0.5;
}

function changed(entry) {
  table.update(entry);
  progress(entry);
}

function ended(entry) {
  entry.share = undefined;
  if (entry.result) {
    const report = new Report(entry.result.report_html);
    Object.assign(entry, { headline: report.headline(), segments: report.segments() });
  }
  if (entry.state !== 'cancelled') keep(entry);
  list();
  progress();
  if (queue.busy) return;
  if (batch.length > 1) {
    const failed = batch.filter((other) => other.problem).length;
    say(`${batch.length - failed} of ${batch.length} recordings scored${failed ? `, ${failed} not` : ''}`);
  } else if (entry.result && !open) location.hash = `#/result/${entry.id}`;
  else if (entry.problem) problem(entry.problem);
  else if (entry.state === 'cancelled') {
    say('Cancelled');
    at('choose').focus();
  }
}

function keep(entry) {
  const { id, order, name, state, result, headline, segments, problem: why } = entry;
  store.keep({ id, order, name, state, result, headline, segments, problem: why }, entry.file);
}

/** Show what runs: on screen at once, to screen readers when it is another step. */
function progress(entry = batch.at(-1)) {
  at('work').hidden = !queue.busy;
  if (!queue.busy) return;
  const done = batch.filter(({ state }) => !['waiting', 'running'].includes(state)).length;
  const single = batch.length === 1;
  const words = single ? `${entry.step}: ${entry.name}` : `${done} of ${batch.length} scored`;
  at('step').textContent = words;
  say(single ? entry.step.replace(/[\d:.]+ (of|%).*/, '').trim() : `Scoring ${batch.length} recordings`);
  const share = single ? entry.share : (done + batch.reduce((sum, other) => sum + (other.share ?? 0), 0)) / batch.length;
  if (share === undefined) at('progress').removeAttribute('value');
  else at('progress').value = share;
}

// ---- the table

function list() {
  at('recordings').hidden = !table.entries.length;
  table.draw();
  const { length } = table.shown();
  at('count').textContent = length === table.entries.length ? '' : `${length} of ${table.entries.length} recordings shown`;
}

async function forget(entry) {
  table.entries = table.entries.filter((other) => other !== entry);
  await store.forget(entry.id);
  if (open === entry) location.hash = '#/';
  list();
  say(`${entry.name} deleted`);
  at('choose').focus();
}

async function forgetAll() {
  sure(false);
  queue.cancel();
  table.entries = [];
  await store.forgetAll();
  list();
  say('All deleted');
  at('choose').focus();
}

function sure(asked) {
  at('sure').hidden = !asked;
  at(asked ? 'sure-no' : 'forget-all').focus();
}

/** Print the page, or reports in its place: browsers write it as PDF. */
function paper(entries) {
  const reports = entries.filter(({ result }) => result).map(({ result }) => new Report(result.report_html).paper());
  at('paper').replaceChildren(...reports);
  for (const details of at('paper').querySelectorAll('details')) details.open = true;
  at('paper').hidden = !reports.length;
  document.body.classList.toggle('on-paper', reports.length > 0);
  window.print();
}

function unpaper() {
  at('paper').replaceChildren();
  at('paper').hidden = true;
  document.body.classList.remove('on-paper');
}

function stamp() {
  return new Date().toISOString().slice(0, 10);
}

// ---- one result

/** Show what the address asks for. */
async function route() {
  const id = /^#\/result\/(\w+)$/.exec(location.hash)?.[1];
  const entry = table.entries.find((other) => other.id === id && other.result);
  if (id && !entry) problem(new Error('This result is not kept in this browser. Results stay where they were made, until they are deleted there: open the report that was downloaded, or give the recording again.'));
  if (entry === open) return;
  const before = open;
  open = entry ?? null;
  player.pause();
  at('home').hidden = Boolean(open);
  at('intro').hidden = Boolean(open);
  at('result').hidden = !open;
  if (open) await show(open);
  else {
    document.title = TITLE;
    const row = before && at('rows').querySelector(`a[href="#/result/${before.id}"]`);
    (row ?? at('choose')).focus();
  }
}

async function show(entry) {
  problem(null);
  const report = new Report(entry.result.report_html);
  at('name').textContent = entry.name;
  report.fill(at('result'));
  for (const cell of at('folded').querySelectorAll('[data-start]')) cell.replaceChildren(timeButton(cell));
  timeline.show(entry.result.verdict);
  say(`${report.headline()}. ${entry.name}`);
  document.title = `${report.headline()}: ${entry.name}`;
  scrollTo(0, 0);
  at('name').focus({ preventScroll: true });
  const sound = entry.file ?? (await store.sound(entry.id));
  if (open !== entry) return;
  if (player.src) URL.revokeObjectURL(player.src);
  if (sound) player.src = URL.createObjectURL(sound);
  else player.removeAttribute('src');
  player.load();
  playable(sound ? '' : 'The recording is not kept in this browser, so it cannot be played here.');
}

function playable(why) {
  for (const id of ['play', 'loop']) at(id).disabled = Boolean(why);
  at('not-played').hidden = !why;
  at('not-played').textContent = why;
}

function timeButton(cell) {
  const button = made('button', { type: 'button', className: 'quiet', textContent: cell.textContent, title: 'Listen to this part' });
  button.addEventListener('click', () => timeline.listen(Number(cell.dataset.start), Number(cell.dataset.end)));
  return button;
}

function controls() {
  at('play').textContent = player.paused ? 'Play' : 'Pause';
  at('loop').setAttribute('aria-pressed', `${timeline.loop}`);
  for (const id of ['earlier', 'later']) at(id).hidden = !timeline.zoomed;
  at('farther').disabled = !timeline.zoomed;
  const chosen = timeline.selected ? `${timeline.selected.map(clock).join(' to ')} chosen` : '';
  at('place').textContent = chosen || timeline.words();
}

// ---- the microphone

async function record() {
  problem(null);
  recorded = null;
  const started = Date.now();
  let timer;
  try {
    await recorder.start({
      level,
      done: (file) => {
        clearInterval(timer);
        recorded = file;
        at('preview').src = URL.createObjectURL(file);
        microphone('heard');
        at('recorded-time').textContent = 'Listen to it, then have it checked';
        say('Recorded; listen to it, then have it checked');
        at('send').focus();
      },
    });
  } catch (error) {
    microphone('');
    problem(new Error(error.name === 'NotAllowedError' ? 'The browser was not allowed to use the microphone; allow it in its settings for this page, or choose a file.' : 'No microphone could be used; connect one, or choose a file.'));
    return;
  }
  microphone('on');
  say('Recording');
  const showTime = () => (at('recorded-time').textContent = `Recording: ${clock(Math.floor((Date.now() - started) / 1000))}`);
  showTime();
  timer = setInterval(showTime, 500);
  at('stop').focus();
}

/** Show the microphone "on", what it "heard", or neither. */
function microphone(state) {
  at('drop').hidden = Boolean(state);
  at('recording').hidden = !state;
  for (const id of ['stop', 'level', 'level-words']) at(id).hidden = state !== 'on';
  for (const id of ['preview', 'send', 'discard']) at(id).hidden = state !== 'heard';
  if (state !== 'heard' && at('preview').src) {
    URL.revokeObjectURL(at('preview').src);
    at('preview').removeAttribute('src');
  }
}

function level(peak) {
  at('level').value = peak;
  const words = peak < QUIET ? 'Nothing is heard yet: speak closer to the microphone' : peak > FULL ? 'Too loud: it is cut off; move away' : 'Loud enough';
  if (at('level-words').textContent !== words) at('level-words').textContent = words;
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
    take([...event.dataTransfer.files]);
  });
}

function onClick(acts) {
  for (const [id, act] of Object.entries(acts)) at(id).addEventListener('click', act);
}

onClick({
  choose: () => at('file').click(),
  record,
  stop: () => recorder.stop(),
  send: () => {
    const file = recorded;
    microphone('');
    take([file]);
  },
  discard: () => {
    microphone('');
    at('record').focus();
  },
  cancel: () => queue.cancel(),
  csv: () => saveCsv(table.shown(), `unheard-${stamp()}.csv`),
  json: () => saveJson(table.shown(), `unheard-${stamp()}.json`),
  'print-table': () => paper([]),
  'print-each': () => paper(table.shown()),
  'forget-all': () => sure(true),
  'sure-no': () => sure(false),
  'sure-yes': forgetAll,
  play: () => timeline.toggle(),
  loop: () => timeline.setLoop(!timeline.loop),
  closer: () => timeline.zoom(0.5),
  farther: () => timeline.zoom(2),
  earlier: () => timeline.pan(-0.5),
  later: () => timeline.pan(0.5),
  'save-html': () => save(open.result.report_html, `${open.name}.report.html`, 'text/html'),
  'save-json': () => save(new Report(open.result.report_html).json(), `${open.name}.report.json`, 'application/json'),
  'save-csv': () => saveCsv([open], `${open.name}.csv`),
  'save-pdf': () => paper([open]),
  forget: () => forget(open),
  again: () => (location.hash = '#/'),
});
at('file').addEventListener('change', () => {
  const files = [...at('file').files];
  at('file').value = '';
  take(files);
});
at('key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  service.key = at('key').value.trim();
  greet();
});
at('keep').addEventListener('change', () => {
  store.wanted = at('keep').checked;
  if (store.wanted) table.entries.filter(({ result, problem: why }) => result || why).forEach(keep);
  else store.forgetAll();
});
for (const [id, name] of [['find', 'text'], ['side', 'side']]) {
  at(id).addEventListener('input', () => {
    table.filter[name] = at(id).value;
    list();
  });
}
at('order').addEventListener('input', () => {
  table.sorted = { by: at('order').value, down: false };
  list();
});
for (const cell of at('table-head').querySelectorAll('[data-sort]')) {
  cell.querySelector('button').addEventListener('click', () => {
    table.sort(cell.dataset.sort);
    at('order').value = table.sorted.by;
  });
}
player.addEventListener('error', () => player.src && playable('This browser cannot play the recording; the service could read it.'));
addEventListener('afterprint', unpaper);
addEventListener('hashchange', route);
addEventListener('beforeunload', (event) => queue.busy && event.preventDefault());
const reason = whyNot();
at('record').disabled = Boolean(reason);
at('record-note').hidden = !reason;
at('record-note').textContent = reason;
at('keep').checked = store.wanted;
listenForDrops();
store.all().then((kept) => {
  table.entries.push(...kept);
  list();
  if (location.hash.startsWith('#/result/')) route();
});
greet();
