/**
 * What the house is like now: who is signed in, its devices and their values, alarms, commands. Everything that pages
 * show comes from here; they never fetch by themselves.
 *
 * Order: the stream is opened first, then the snapshot is taken, and frames that it already holds are dropped. One
 * signal per device, so that a change repaints one card and not the page.
 */
import { ASSETS, batch, computed, effect, signal } from './core.js';
import { end, get, setCsrf, signedOut } from './api.js';
import { hear, setConnection } from './link.js';
import { setNow } from './time.js';
import { keepStream } from './worker.js';

export const GOOD = 2;
const UNSEEN = ['unacknowledged', 'returned'];

/** {name, zone, language, demo, version, users?}: null until asked. */
export const site = signal(null);
/** undefined: not known yet; null: nobody is signed in. */
export const session = signal(/** @type {any} */ (undefined));
/** Whether this person may do something somewhere: 'acknowledge', 'command', 'commission', … @param {string} right */
export const may = (right) => Boolean(session.value?.rights.includes(right));

/** Rights that a role has for some families of devices only (hub/rights.py). */
const BY_FAMILY = ['acknowledge', 'command'];

/**
 * Whether this person has a right over this device: by its area, and for some rights by what it is there for.
 * @param {string} right
 * @param {Device | undefined} device
 */
export const mayWith = (right, device) =>
  Boolean(
    device &&
      session.value?.grants.some(
        (it) =>
          it.rights.includes(right) &&
          (!BY_FAMILY.includes(right) || it.families.includes(device.family)) &&
          (it.area === '' || liesIn(device.area, it.area)),
      ),
  );

/** @param {string} area @param {string} above */
function liesIn(area, above) {
  for (let left = areas.value.length + 1; area && left > 0; left -= 1) {
    if (area === above) return true;
    area = parents.value.get(area) || '';
  }
  return false;
}

/**
 * @typedef {{id: string, name: string, kind: string, family: string, area: string, profile: string, plate: any,
 *   state: any}} Device
 */
export const devices = signal(/** @type {Device[]} */ ([]));
export const areas = signal(/** @type {{code: string, name: string, parent: string}[]} */ ([]));
const parents = computed(() => new Map(areas.value.map((it) => [it.code, it.parent])));
export const alarms = signal(/** @type {Map<string, any>} */ (new Map()));
export const commands = signal(/** @type {Map<string, any>} */ (new Map()));
/** 'empty' until the first snapshot, then 'full'; or what went wrong. */
export const loaded = signal(/** @type {any} */ ('empty'));

const byId = computed(() => new Map(devices.value.map((it) => [it.id, it])));
/** @param {string} id @returns {Device | undefined} */
export const deviceOf = (id) => byId.value.get(id);

// ---- derived --------------------------------------------------------------------------------------------------------

/** @param {any} alarm */
export const isUnseen = (alarm) => UNSEEN.includes(alarm.state);
/** Unseen first, then by severity, then the newest. @param {any} a @param {any} b */
const byUrgency = (a, b) =>
  Number(isUnseen(b)) - Number(isUnseen(a)) || a.severity - b.severity || b.raised_at.localeCompare(a.raised_at);

const calling = computed(() => [...alarms.value.values()].filter((it) => !it.shelved && !it.suppressed));
export const standing = computed(() => [...calling.value].sort(byUrgency));
/** What somebody has put aside for a time; one of them may be normal. The next to return comes first. */
export const shelved = computed(() =>
  [...alarms.value.values()].filter((it) => it.shelved).sort((a, b) => a.shelved.until.localeCompare(b.shelved.until)),
);
/** What another alarm explains. */
export const suppressed = computed(() => [...alarms.value.values()].filter((it) => it.suppressed).sort(byUrgency));
export const unseen = computed(() => standing.value.filter(isUnseen));
/** How many stand, by severity: [_, urgent, high, medium, low]. */
export const counts = computed(() => {
  const told = [0, 0, 0, 0, 0];
  for (const alarm of calling.value) told[alarm.severity] += 1;
  return told;
});
const worst = computed(() => {
  const told = new Map();
  for (const it of calling.value) {
    if (it.state !== 'returned') told.set(it.device, Math.min(it.severity, told.get(it.device) ?? 9));
  }
  return told;
});
/** The worst level that stands at a device; 0: none. @param {string} device @returns {number} */
export const worstOf = (device) => worst.value.get(device) || 0;

/**
 * A point of a device as it is now; null when the device has no such point.
 * @param {Device} device
 * @param {string} key
 */
export function read(device, key) {
  const number = device.plate.number.get(key);
  if (number === undefined) return null;
  const state = device.state.value;
  const point = device.plate.points[number];
  if (!state) return { point, value: null, quality: 0, why: null, lastGood: null, lastGoodAt: null, atMs: null };
  const [lastGood, lastGoodAt] = state.last?.[number] || [null, null];
  return {
    point,
    value: state.v[number],
    quality: state.q[number],
    why: state.why?.[number],
    lastGood,
    lastGoodAt,
    atMs: state.at_ms,
  };
}

/** The value when it can be believed, else null. @param {Device} device @param {string} key */
export function good(device, key) {
  const reading = read(device, key);
  return reading && reading.quality === GOOD ? reading.value : null;
}

/**
 * When the newest good reading of the device's own points was taken; null: never. What the driver says of its link
 * does not count: it goes on trying, and each try would make a dead device look fresh.
 * @param {Device} device
 * @returns {number | null}
 */
export function lastGoodOf(device) {
  const state = device.state.value;
  if (!state) return null;
  const own = device.plate.points.map((it, n) => (/^link(\.|$)/.test(it.key) ? -1 : n)).filter((n) => n >= 0);
  if (own.some((n) => state.q[n] === GOOD)) return state.at_ms;
  const times = own.map((n) => state.last?.[n]?.[1]).filter(Boolean);
  return times.length ? Math.max(...times) : null;
}

// ---- the stream -----------------------------------------------------------------------------------------------------

let epoch = '';
let number = -1; // of the last frame that is in here
let rosterVersion = '';
let waiting = /** @type {{id: string, frame: string}[] | null} */ (null); // frames that came while a snapshot was asked
let taking = /** @type {Promise<void> | null} */ (null);

/** @param {{id: string, frame: string}} message */
function take({ id, frame }) {
  const [itsEpoch, text] = id.split('.');
  if (waiting) return void waiting.push({ id, frame });
  if (itsEpoch !== epoch) return void snapshot();
  if (Number(text) <= number) return;
  const told = JSON.parse(frame);
  number = Number(text);
  setNow(told.now);
  if ('roster' in told) return void snapshot();
  batch(() => apply(told));
}

/** @param {Record<string, any>} told */
function apply(told) {
  let newAlarms = alarms.value;
  let newCommands = commands.value;
  for (const [key, value] of Object.entries(told)) {
    const kind = key.slice(0, 2);
    const id = key.slice(2);
    const device = kind === 's:' || kind === 'f:' ? deviceOf(id) : undefined;
    if (kind === 's:' && device) device.state.value = value;
    if (kind === 'f:' && device) device.state.value = { ...device.state.peek(), at_ms: value };
    if (kind === 'a:') {
      if (newAlarms === alarms.value) newAlarms = new Map(newAlarms);
      if (value.state === 'normal' && !value.shelved) newAlarms.delete(id);
      else newAlarms.set(id, value);
    }
    if (kind === 'c:') newCommands = new Map(newCommands).set(id, value);
  }
  alarms.value = newAlarms;
  commands.value = newCommands;
}

/** The whole, from the server; once at a time. */
export function snapshot() {
  waiting ||= [];
  taking ||= takeSnapshot().finally(() => {
    taking = null;
  });
  return taking;
}

async function takeSnapshot() {
  try {
    const told = await get('/snapshot');
    if (told.roster !== rosterVersion) await takeRoster();
    batch(() => {
      ({ epoch, number } = told);
      setNow(told.now);
      for (const device of devices.value) device.state.value = told.states[device.id] || null;
      alarms.value = new Map(told.alarms.map((it) => [it.id, it]));
      commands.value = new Map([...commands.value, ...told.commands.map((it) => [it.id, it])]);
      loaded.value = 'full';
    });
  } catch (problem) {
    if (loaded.value !== 'full') loaded.value = problem;
  }
  const later = waiting || [];
  waiting = null;
  if (loaded.value === 'full') for (const message of later) take(message);
}

async function takeRoster() {
  const told = await get('/roster');
  const plates = told.plates.map((plate) => ({
    ...plate,
    number: new Map(plate.points.map((point, n) => [point.key, n])),
  }));
  const { id, name, kind, family, area, profile, plate } = told.devices;
  const before = byId.value;
  areas.value = told.areas;
  devices.value = id.map((it, n) => ({
    id: it,
    name: name[n],
    kind: kind[n],
    family: family[n],
    area: area[n],
    profile: profile[n],
    plate: plates[plate[n]],
    state: before.get(it)?.state || signal(null),
  }));
  rosterVersion = told.version;
}

/** @param {any} message of worker.js */
function listen(message) {
  if (message.state) return setConnection(message.state);
  hear();
  if (message.frame) return take(message);
  if (message.beat) return setNow(JSON.parse(message.beat).now);
  if (message.event === 'bye') return stayOrLeave();
  if (message.event === 'over') signedOut.value += 1;
  if (message.event === 'reset') snapshot();
  if (message.event === 'hello') {
    const told = JSON.parse(message.data);
    if (told.epoch !== epoch || told.number > number) snapshot();
  }
}

// ---- one stream for all tabs ----------------------------------------------------------------------------------------

let tell = (_order) => {};

/** Join the browser's stream, or have one of our own where there are no shared workers. */
function join() {
  if (typeof SharedWorker === 'function') {
    const worker = new SharedWorker(`${ASSETS}/app/worker.js`, { type: 'module', name: 'fieldhub' });
    worker.port.onmessage = (event) => listen(event.data);
    worker.onerror = () => setConnection('off');
    tell = (order) => worker.port.postMessage(order);
    addEventListener('pagehide', () => tell('leave'));
    addEventListener('pageshow', (event) => event.persisted && session.peek() && enter());
  } else {
    const stream = keepStream(listen);
    const orders = { open: stream.open, reopen: stream.open, close: stream.close };
    tell = (order) => orders[order]?.();
  }
}

function enter(fresh = false) {
  tell(fresh ? 'reopen' : 'open');
  snapshot();
}

/** Somebody has signed in, or was signed in already. @param {any} who @param {boolean} fresh a new session */
export function begin(who, fresh) {
  setCsrf(who.csrf || '');
  session.value = who;
  if (who.must.length) return; // nothing may be asked for before that is done: pages/first.js
  if (!joined) join();
  joined = true;
  enter(fresh);
}
let joined = false;

/**
 * The stream was ended: the session is over, or what its person may do has changed. The session says which; what is on
 * the screen stays when it is still good (recovery codes are told once).
 */
const stayOrLeave = () =>
  get('/session').then(
    (who) => session.peek() && begin(who, true),
    (problem) => session.peek() && (problem.status === 401 ? leave() : enter(true)),
  );

/** Sign out here and at the server. */
export const signOut = () => end('/session').then(leave, leave);

/** Nobody is signed in any more: nothing that was shown stays. */
export function leave() {
  tell('close');
  setCsrf('');
  batch(() => {
    session.value = null;
    devices.value = [];
    alarms.value = new Map();
    commands.value = new Map();
    loaded.value = 'empty';
  });
  epoch = rosterVersion = '';
  number = -1;
}

effect(() => {
  if (signedOut.value && session.peek()) leave();
});
