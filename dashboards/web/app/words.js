/**
 * Everything that is written: our own texts (i18n/*.json, and i18n/more/ for pages that are fetched later), the house's
 * sentences (its words.toml), names in two
 * languages, numbers, units, times and ages. No other file has words in it.
 */
import { ASSETS, effect, remembered, signal } from './core.js';

export const LANGUAGES = ['zh-CN', 'en'];

/** 'zh-CN' or 'en'; '' until the site has said which one is its own. */
export const language = remembered('language', '');
/** The county's time zone, from the server; never the PC's. */
export const zone = signal('UTC');

const texts = signal(/** @type {Record<string, string>} */ ({}));
const sentences = signal(/** @type {Record<string, string>} */ ({}));
effect(() => {
  document.documentElement.lang = language.value || 'zh-CN';
});

/** @param {string} tongue @param {string} [part] "" or "more/" @returns {Promise<Record<string, string>>} */
const read = (tongue, part = '') => fetch(`${ASSETS}/i18n/${part}${tongue}.json`).then((it) => it.json());

/** The texts of pages that are fetched when they are first opened, or on their way. */
let more = /** @type {Promise<void> | null} */ (null);

/** Read them too; rejects when they cannot be had now. @returns {Promise<void>} */
export function moreTexts() {
  const tongue = language.value;
  more ||= read(tongue, 'more/').then(
    (it) => {
      if (tongue === language.value) texts.value = { ...texts.value, ...it }; // else `speak` has read the others
    },
    (wrong) => {
      more = null;
      throw wrong;
    },
  );
  return more;
}

/**
 * Read our texts and the house's sentences of a language, then show it.
 * @param {string} wanted
 * @param {(path: string) => Promise<any>} ask how to ask the API
 */
export async function speak(wanted, ask) {
  const tongue = LANGUAGES.includes(wanted) ? wanted : LANGUAGES[0];
  const first = await read(tongue);
  texts.value = more ? { ...first, ...(await read(tongue, 'more/')) } : first;
  language.value = tongue;
  const told = await ask(`/words?language=${tongue}`).catch(() => ({ words: {} }));
  sentences.value = told.words;
}

/**
 * Our own text. With `n` = 1, the text of `key.one` where there is one.
 * @param {string} key
 * @param {Record<string, any>} [args]
 * @returns {string}
 */
export function T(key, args) {
  const one = args && args.n === 1 ? texts.value[key + '.one'] : undefined;
  const text = one ?? texts.value[key];
  return text === undefined ? key : fill(text, args || {});
}

/**
 * A sentence of the house in the reader's language.
 * @param {{key: string, args?: Record<string, any>, text?: Record<string, string>} | null | undefined} words
 * @returns {string}
 */
export function say(words) {
  if (!words) return '';
  if (words.text) return name(words.text);
  const template = sentences.value[words.key];
  if (template === undefined) {
    return [words.key, ...Object.entries(words.args || {}).map(([k, v]) => `${k}=${inWords(v)}`)].join(' ');
  }
  return fill(template, words.args || {});
}

/**
 * A name that is given in both languages, or is the same in both.
 * @param {Record<string, string> | string | null | undefined} title
 * @returns {string}
 */
export function name(title) {
  if (!title) return '';
  if (typeof title === 'string') return title;
  return title[language.value] || title.en || Object.values(title)[0] || '';
}

/** Fill {name} and {name:.Nf}, as hub/words.py does. @param {string} template @param {Record<string, any>} args */
function fill(template, args) {
  return template.replace(/\{(\w+)(?::\.(\d+)f)?\}/g, (whole, key, digits) => {
    if (!(key in args)) return whole;
    return digits === undefined ? inWords(args[key]) : Number(args[key]).toFixed(Number(digits));
  });
}

/** @param {any} value a number, a text, a title in both languages, or another sentence */
function inWords(value) {
  if (value && typeof value === 'object') return 'key' in value ? say(value) : name(value);
  if (typeof value === 'number' && !Number.isInteger(value)) return String(Math.round(value * 1000) / 1000);
  if (typeof value === 'boolean') return T(value ? 'value.true' : 'value.false');
  return String(value ?? '');
}

// ---- numbers --------------------------------------------------------------------------------------------------------

export const NOTHING = '—';

/**
 * A number with its digits and thousands; what is missing is a dash, never 0.
 * @param {any} value
 * @param {number} [digits]
 * @param {boolean} [thousands] whether they are told apart: what has no unit may be a code or an order, like 1234
 * @returns {string}
 */
export function num(value, digits = 0, thousands = true) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return NOTHING;
  const [whole, rest] = Math.abs(value).toFixed(digits).split('.');
  const sign = value < 0 && Number(value.toFixed(digits)) !== 0 ? '−' : '';
  return sign + (thousands ? whole.replace(/\B(?=(\d{3})+$)/g, ',') : whole) + (rest ? '.' + rest : '');
}

/** A unit as it is printed: m3/h is m³/h. @param {string} symbol */
export const unit = (symbol) => (symbol || '').replace(/(k?m)([23])/g, (_, m, n) => m + (n === '2' ? '²' : '³'));

/**
 * A point's value in words, without its unit.
 * @param {any} point as the nameplate has it
 * @param {any} value
 * @returns {string}
 */
export function show(point, value) {
  if (value === null || value === undefined) return NOTHING;
  if (typeof value === 'boolean') return T(value ? 'value.true' : 'value.false');
  if (typeof value === 'number') return num(value, point?.digits ?? 2, Boolean(point?.unit));
  if (Array.isArray(value)) return value.map((it) => num(it, 5)).join(', ');
  const known = new Map((point?.labels || []).map((it) => [it.label, name(it.title)]));
  if (known.has(value)) return known.get(value);
  return value
    .split(', ')
    .map((it) => known.get(it) || it)
    .join(T('value.and'));
}

// ---- time -----------------------------------------------------------------------------------------------------------

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();
const CLOCK = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
const PARTS = {
  minute: CLOCK,
  second: { ...CLOCK, second: '2-digit' },
  day: { year: 'numeric', month: '2-digit', day: '2-digit' },
};

/**
 * A moment in the county's time: 'second' 15:38:34, 'minute' 15:38, 'day' 2026-11-23.
 * @param {number} ms since 1970
 * @param {'second' | 'minute' | 'day'} part
 */
export function clock(ms, part = 'second') {
  const key = part + zone.value;
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat('en-CA', { timeZone: zone.value, ...PARTS[part] }));
  }
  return /** @type {Intl.DateTimeFormat} */ (formats.get(key)).format(ms);
}

/** When a day of the county's begins, in ms; null for what is no day. @param {string} day 2026-11-23 */
export function dayStart(day) {
  const guess = Date.parse(`${day}T00:00:00Z`);
  if (!Number.isFinite(guess)) return null;
  const shown = Date.parse(`${clock(guess, 'day')}T${clock(guess)}Z`);
  return guess - (shown - guess);
}

/**
 * A moment, with its date when that is not today's.
 * @param {number | string | null | undefined} moment ms or RFC 3339
 * @param {'second' | 'minute'} [part]
 * @returns {string}
 */
export function when(moment, part = 'second') {
  const ms = toMs(moment);
  if (ms === null) return NOTHING;
  const day = clock(ms, 'day');
  return day === clock(Date.now(), 'day') ? clock(ms, part) : `${day} ${clock(ms, part)}`;
}

/** @param {number | string | null | undefined} moment @returns {string} */
export function fully(moment) {
  const ms = toMs(moment);
  return ms === null ? NOTHING : `${clock(ms, 'day')} ${clock(ms, 'second')}`;
}

/** @param {number | string | null | undefined} moment @returns {number | null} */
export function toMs(moment) {
  if (moment === null || moment === undefined) return null;
  const ms = typeof moment === 'number' ? moment : Date.parse(moment);
  return Number.isFinite(ms) ? ms : null;
}

/**
 * How long: 8 s, 3 min, 2 h, 4 d.
 * @param {number} ms
 * @returns {string}
 */
export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return T('span.s', { n: s });
  if (s < 3600) return T('span.min', { n: Math.floor(s / 60) });
  if (s < 86_400) return T('span.h', { n: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) });
  return T('span.d', { n: Math.floor(s / 86_400), h: Math.floor((s % 86_400) / 3600) });
}
