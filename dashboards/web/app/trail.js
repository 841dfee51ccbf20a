/** The last hour of a few points, for small trends: filled once from history, kept up from live values. */
import { effect, signal } from './core.js';
import { get } from './api.js';
import { GOOD, deviceOf, read } from './store.js';
import { present } from './time.js';

const SPAN_MS = 3_600_000;
const STEP_MS = 30_000; // one value of each step is kept
const AT_ONCE = 3; // questions to the historian

/** @typedef {{times: number[], values: (number | null)[], version: any}} Trail */
/** @type {Map<string, Trail>} */
const trails = new Map();
/** @type {(() => Promise<void>)[]} */
const questions = [];
let asking = 0;

/**
 * The trail of a device's point; reading `version.value` repaints when it grows.
 * @param {import('./store.js').Device} device
 * @param {string} key
 * @returns {Trail}
 */
export function trailOf(device, key) {
  const place = `${device.id}/${key}`;
  const known = trails.get(place);
  if (known) return known;
  const trail = { times: [], values: [], version: signal(0) };
  trails.set(place, trail);
  questions.push(() => fill(trail, device, key));
  next();
  effect(() => {
    const it = deviceOf(device.id);
    const reading = it && read(it, key);
    if (reading && reading.atMs) add(trail, reading.atMs, reading.quality === GOOD ? reading.value : null);
  });
  return trail;
}

function next() {
  while (asking < AT_ONCE && questions.length) {
    asking += 1;
    const question = /** @type {() => Promise<void>} */ (questions.shift());
    question().finally(() => {
      asking -= 1;
      next();
    });
  }
}

/** @param {Trail} trail @param {number} at @param {number | null} value */
function add(trail, at, value) {
  const { times, values } = trail;
  const last = times.length - 1;
  if (last >= 0 && at <= times[last]) return;
  if (last >= 0 && Math.floor(at / STEP_MS) === Math.floor(times[last] / STEP_MS)) {
    times[last] = at;
    values[last] = value;
  } else {
    times.push(at);
    values.push(value);
  }
  while (times.length && times[0] < at - SPAN_MS) {
    times.shift();
    values.shift();
  }
  trail.version.value += 1;
}

/** @param {Trail} trail @param {import('./store.js').Device} device @param {string} key */
async function fill(trail, device, key) {
  const start = present() - SPAN_MS;
  const query = `points=${encodeURIComponent(key)}&from=${Math.round(start)}&step=${STEP_MS / 1000}&agg=last`;
  try {
    const told = await get(`/devices/${encodeURIComponent(device.id)}/series?${query}`);
    const [{ start_ms: starts, last }] = told.series;
    const first = trail.times[0] ?? Infinity;
    const older = starts.filter((at) => at + STEP_MS / 2 < first);
    trail.times.unshift(...older.map((at) => at + STEP_MS / 2));
    trail.values.unshift(...last.slice(0, older.length));
    trail.version.value += 1;
  } catch {
    // no history now: the trail grows from live values
  }
}
