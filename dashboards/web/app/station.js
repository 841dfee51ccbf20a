/** What the points of a pump station mean: which is its level, which are its limits, how its pumps do. No drawing. */
import { areas, good, read } from './store.js';
import { T, name, say, show, unit } from './words.js';

export const LEVEL = 'inlet.level';
export const OUTER = 'outlet.level';
export const FLOW = 'station.flow';
export const POWER = 'mains.power';
export const PRESSURE = 'outlet.pressure';
export const MODE = 'station.mode';
export const RACK = 'rack.level_difference';
const LIMITS = {
  lowLow: 'setting.low_low_level',
  stop: 'setting.stop_level',
  start: 'setting.start_level',
  highHigh: 'setting.high_high_level',
};
const MARGIN = 0.18; // of the limits' span, above and below it, in level bands
const MOVING = ['starting', 'stopping'];

/** @typedef {import('./store.js').Device} Device */

/** Whether a device is drawn as a pump station. @param {Device} device */
export const isStation = (device) => device.plate.number.has(LEVEL) || device.plate.number.has('pump1.state');

/**
 * The station's own limits, and the span that level bands and mimics draw. A limit that is not known is null.
 * @param {Device} device
 * @returns {any} {lowLow, stop, start, highHigh, low, high}
 */
export function limitsOf(device) {
  const told = /** @type {Record<string, number | null>} */ ({});
  for (const [limit, key] of Object.entries(LIMITS)) {
    const reading = read(device, key);
    told[limit] = reading ? (reading.quality === 0 ? reading.lastGood : reading.value) : null;
  }
  const known = Object.values(told).filter((it) => typeof it === 'number');
  const low = known.length ? Math.min(...known) : 0;
  const high = known.length > 1 ? Math.max(...known) : low + 1;
  const margin = (high - low) * MARGIN || 0.5;
  return { ...told, low: low - margin, high: high + margin };
}

/** Where a level stands in a span, 0 at the bottom and 1 at the top. @param {any} limits @param {number} value */
export const share = (limits, value) =>
  Math.max(0, Math.min(1, (value - limits.low) / (limits.high - limits.low || 1)));

/** Whether the level is above high-high now. @param {Device} device */
export function isAbove(device) {
  const level = good(device, LEVEL);
  const limit = limitsOf(device).highHigh;
  return level !== null && typeof limit === 'number' && level > limit;
}

/** The numbers of its pumps: 1, 2, 3. @param {Device} device @returns {number[]} */
export const pumpsOf = (device) =>
  device.plate.points
    .map((point) => /^pump(\d+)\.state$/.exec(point.key))
    .filter(Boolean)
    .map((found) => Number(found[1]));

/**
 * How a pump does: {n, kind, text, reading}; kind is one of running, moving, stopped, fault, locked, local, unknown.
 * @param {Device} device
 * @param {number} n
 */
export function pumpOf(device, n) {
  const reading = read(device, `pump${n}.state`);
  const state = reading && reading.quality === 2 ? reading.value : null;
  let kind = 'unknown';
  if (state === 'locked_out') kind = 'locked';
  else if (MOVING.includes(state)) kind = 'moving';
  else if (state !== null) kind = String(state);
  const text = state === null ? T('pump.unknown') : show(reading.point, state);
  return { n, kind, state, text, reading };
}

/** The same for all of them. @param {Device} device */
export const allPumps = (device) => pumpsOf(device).map((n) => pumpOf(device, n));

/** How the station is reached: 'up', 'degraded', 'down' or null. @param {Device} device */
export const linkOf = (device) => read(device, 'link');

/** Whether the station has gone silent: its link is down, or its level is not good. @param {Device} device */
export function isSilent(device) {
  const link = good(device, 'link');
  const level = read(device, LEVEL);
  return link === 'down' || !device.state.value || (level !== null && level.quality === 0);
}

/**
 * Why nothing comes from a station, in words; '' while something does.
 * @param {Device} device
 */
export function whyDead(device) {
  if (!device.state.value) return T('dead.never');
  const own = device.plate.points.filter((it) => !/^link(\.|$)/.test(it.key));
  const down = good(device, 'link') === 'down';
  if (!down && own.some((it) => read(device, it.key)?.quality)) return '';
  const told = ['link', 'link.rtt', LEVEL, ...own.map((it) => it.key)].map((key) => read(device, key)?.why);
  return say(told.find(Boolean)) || T('no.link');
}

/** An action of the device, or null. @param {Device} device @param {string} key */
export const actionOf = (device, key) => device.plate.actions.find((it) => it.key === key) || null;

/**
 * Why a pump cannot be told so now, in words; '' when it can. The guard decides again when it is asked.
 * @param {Device} device
 * @param {ReturnType<typeof pumpOf>} pump
 * @param {'start' | 'stop' | 'reset'} verb
 */
export function notNow(device, pump, verb) {
  if (verb === 'stop') return pump.kind === 'stopped' ? T('no.stopped') : '';
  if (verb === 'reset') return pump.kind === 'fault' || pump.kind === 'locked' ? '' : T('no.fault');
  if (pump.kind === 'running' || pump.state === 'starting') return T('no.running');
  if (pump.kind === 'unknown') return T('no.state');
  const blocked = read(device, `pump${pump.n}.blocked_by`);
  if (blocked && blocked.quality === 2 && blocked.value) {
    const wait = good(device, `pump${pump.n}.start_in`);
    return show(blocked.point, blocked.value) + (wait ? ` · ${T('no.wait', { s: wait })}` : '');
  }
  return '';
}

/** The name of a device's area, and of the town that it is in. @param {any[]} areas @param {string} code */
export function townOf(all, code) {
  const known = new Map(all.map((it) => [it.code, it]));
  let area = known.get(code);
  const path = [];
  while (area && path.length < 10) {
    path.unshift(area);
    area = known.get(area.parent);
  }
  return { town: path[1] || path[0] || null, area: path[path.length - 1] || null };
}

/**
 * Where to look at a device. Of an area that is the overview of its silent stations.
 * @param {Device | undefined} device
 * @param {string} id
 */
export function pageOf(device, id) {
  if (!device?.kind.endsWith('_area')) return `/station/${encodeURIComponent(id)}`;
  const { town } = townOf(areas.value, device.area);
  return `/?show=silent${town?.parent ? `&town=${town.code}` : ''}`;
}

/** Its name, and what tells it apart in a list. @param {Device | undefined} device @param {string} id */
export const nameOf = (device, id) => (device ? name(device.name) : id);

/**
 * A sentence about a point of this device, with the point's name and its values as people know them.
 * @param {Device} device
 * @param {any} words
 * @returns {string}
 */
export function sayOf(device, words) {
  const args = words?.args || {};
  const reading = typeof args.point === 'string' ? read(device, args.point) : null;
  if (!reading) return say(words);
  const told = { ...args, point: name(reading.point.title) };
  for (const key of ['value', 'limit', 'wanted']) if (key in args) told[key] = valueOf(reading.point, args[key]);
  return say({ key: words.key, args: told });
}

/** @param {any} point @param {any} value */
function valueOf(point, value) {
  if (value === null || typeof value === 'object') return value;
  return `${show(point, value)} ${unit(point.unit)}`.trim();
}
