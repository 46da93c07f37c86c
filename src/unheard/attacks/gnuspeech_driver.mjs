// Speak an English text with GnuSpeech, in a process of its own.
//
//     node gnuspeech_driver.mjs ENGINE VOICE TEMPO PITCH SEED < text > speech.wav
//
// ENGINE is the script that loads the WebAssembly module next to it. TEMPO is a factor, PITCH in
// semitones. SEED, a whole number, decides what the engine draws: its intonation drifts at random.
// Standard library alone.

import { readFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

const SETTINGS = "/data/en";
const OUTPUT = "/spoken.wav";

const [engine, voice, tempo, pitch, seed] = process.argv.slice(2);
let state = Number(seed) >>> 0;
// The engine asks for random bytes here and nowhere else.
Object.defineProperty(globalThis, "crypto", { value: { getRandomValues } });

const { default: load } = await import(pathToFileURL(engine).href);
// What the engine prints must not mix with the samples.
const module = await load({ print: () => {}, printErr: (line) => console.error(line) });

const path = `${SETTINGS}/trm_control_model.txt`;
const settings = module.FS.readFile(path, { encoding: "utf8" })
  .replace(/^voice_name = .*$/m, `voice_name = ${voice}`)
  .replace(/^tempo = .*$/m, `tempo = ${tempo}`)
  .replace(/^pitch_offset = .*$/m, `pitch_offset = ${pitch}`);
module.FS.writeFile(path, settings);

const text = readFileSync(0, "utf8");
module._GnuSpeech_synthesizeToFile(place(text), place(OUTPUT), place(SETTINGS), place("/p.txt"), 0);

const wav = module.FS.readFile(OUTPUT);
for (let done = 0; done < wav.length; ) done += writeSync(1, wav, done);

function place(text) {
  const bytes = new TextEncoder().encode(`${text}\0`);
  const address = module._malloc(bytes.length);
  module.HEAPU8.set(bytes, address);
  return address;
}

// A linear congruential generator (Numerical Recipes' constants); its upper bits are the better.
function getRandomValues(view) {
  for (let index = 0; index < view.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    view[index] = state >>> 24;
  }
  return view;
}
