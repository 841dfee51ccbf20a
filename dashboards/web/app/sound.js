/** Alarm tones by WebAudio; no files. A browser plays nothing before a click: until then the bar says so. */
import { effect, remembered, signal } from './core.js';
import { unseen } from './store.js';
import { now, present } from './time.js';

const SILENCE_MS = 600_000;
const REPEAT_MS = 4_000;
/** By severity: how many beeps, at which pitch. 3 sounds once when it comes, 4 never. */
const TONES = [null, { times: 3, hertz: 980 }, { times: 2, hertz: 780 }, { times: 1, hertz: 620 }, null];
const BEEP_S = 0.18;
const EVERY_S = 0.3;

/** Whether this person wants sound at all. */
export const wanted = remembered('sound', true);
/** Whether the browser lets us. */
export const unlocked = signal(false);
/** Silent until then (ms); a new urgent alarm ends it. */
export const silentUntil = signal(0);

/** @type {AudioContext | null} */
let context = null;

/** To be called on a click: from then on the browser lets us sound. */
export async function unlock() {
  try {
    context ||= new AudioContext();
    await context.resume();
    unlocked.value = context.state === 'running';
  } catch {
    unlocked.value = false;
  }
}

export const silence = () => {
  silentUntil.value = present() + SILENCE_MS;
};
export const unsilence = () => {
  silentUntil.value = 0;
};

/** 'locked', 'off', 'silent' or 'on'. */
export function soundState() {
  if (!wanted.value) return 'off';
  if (!unlocked.value) return 'locked';
  return silentUntil.value > now.value ? 'silent' : 'on';
}

/** @param {number} severity */
function beep(severity) {
  const tone = TONES[severity];
  if (!tone || !context || context.state !== 'running' || soundState() !== 'on') return;
  for (let n = 0; n < tone.times; n += 1) {
    const start = context.currentTime + n * EVERY_S;
    const volume = context.createGain();
    const source = context.createOscillator();
    source.frequency.value = tone.hertz;
    volume.gain.setValueAtTime(0.0001, start);
    volume.gain.exponentialRampToValueAtTime(0.14, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + BEEP_S);
    source.connect(volume).connect(context.destination);
    source.start(start);
    source.stop(start + BEEP_S);
  }
}

/** @type {Set<string>} */
let known = new Set();
effect(() => {
  const fresh = unseen.value.filter((it) => !known.has(it.id));
  known = new Set(unseen.value.map((it) => it.id));
  if (fresh.some((it) => it.severity === 1)) unsilence();
  const worst = Math.min(9, ...fresh.map((it) => it.severity));
  if (worst === 3) beep(3);
});

setInterval(() => {
  const worst = unseen.peek().find((it) => it.severity <= 2 && it.state === 'unacknowledged');
  if (worst) beep(worst.severity);
}, REPEAT_MS);
