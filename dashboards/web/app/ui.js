/** Small widgets that every page uses. Each is a plain function of its props. */
import { html, useEffect, useState } from './core.js';
import { Icon } from './icons.js';
import { link } from './link.js';
import { NOTHING, T, name, say, show, span, unit, when } from './words.js';
import { now } from './time.js';

export { Icon };

// ---- alarms ---------------------------------------------------------------------------------------------------------

const SHAPES = [
  null,
  html`<rect x="2" y="1.5" width="21" height="20" rx="3" />`,
  html`<path d="M13 1.5L25 21.5H1z" />`,
  html`<path d="M1 1.5h24L13 21.5z" />`,
  html`<circle cx="13" cy="11.5" r="10.5" />`,
];
const JUST_MS = 2_000;
const DIGIT_Y = [0, 16.2, 19, 14, 16.2];

/** An alarm level: shape, digit and colour. @param {{level: number}} props */
export const Level = ({ level }) => html`
  <svg class="level level-${level}" viewBox="0 0 26 23" role="img" aria-label=${T(`level.${level}`)}>
    ${SHAPES[level]}
    <text x=${level === 1 ? 12.5 : 13} y=${DIGIT_Y[level]} text-anchor="middle">${level}</text>
  </svg>
`;

/** An alarm in a list. @param {{alarm: any, source: string, advice?: boolean}} props */
export function AlarmItem({ alarm, source, advice }) {
  const unseen = alarm.state === 'unacknowledged' || alarm.state === 'returned';
  return html`
    <a class="alarm-item ${unseen ? 'unseen' : ''}" href="/alarms?id=${encodeURIComponent(alarm.id)}">
      <${Level} level=${alarm.severity} />
      <div class="grow">
        ${source && html`<b>${source}</b>`}
        <div class=${source ? 'small' : 'strong'}>${name(alarm.say)}</div>
        ${alarm.state === 'returned' && html`<div class="small muted">${T('alarm.state.returned')}</div>`}
        ${advice && name(alarm.do) && html`<div class="small muted">${T('alarm.do')}: ${name(alarm.do)}</div>`}
      </div>
      <div class="right small muted nowrap number">${when(alarm.raised_at, 'minute')}</div>
    </a>
  `;
}

// ---- the stream -----------------------------------------------------------------------------------------------------

/** Live, late or lost, and how old what is shown is. */
export function Lamp() {
  const { state, ageMs } = link.value;
  const text = T(`link.${state}`, { age: span(ageMs) });
  return html`
    <span class="lamp ${state}" data-testid="lamp" data-state=${state} title=${text}><i /><span>${text}</span></span>
  `;
}

// ---- a value, with what must be known to believe it -----------------------------------------------------------------

/**
 * A reading as people may see it: good as it is, doubtful with a dashed line, bad as a dash with the last good one.
 * @param {{reading: any, big?: boolean, reason?: boolean, href?: string}} props
 */
export function Value({ reading, big, reason, href }) {
  if (!reading) return html`<span class="value ${big ? 'big' : ''}">${NOTHING}</span>`;
  const { point, value, quality, why, lastGood, lastGoodAt } = reading;
  const bad = quality === 0;
  const known = !bad && value !== null;
  const because = quality === 2 ? '' : say(why);
  const text = html`
    <span
      class="value ${big ? 'big' : ''} ${quality === 1 ? 'doubt' : ''}"
      data-quality=${quality}
      title=${because || null}
    >${known ? show(point, value) : NOTHING}${point.unit && html`<small>${unit(point.unit)}</small>`}</span>
  `;
  return html`
    ${href ? html`<a class="plain" href=${href}>${text}</a>` : text}
    ${!known && lastGoodAt && html` <${LastGood} point=${point} value=${lastGood} at=${lastGoodAt} />`}
    ${reason && because && html` <span class="small muted">${because}</span>`}
  `;
}

/** @param {{point: any, value: any, at: number}} props */
const LastGood = ({ point, value, at }) => html`
  <span class="small muted last-good">${T('value.last_good', {
    value: `${show(point, value)} ${unit(point.unit)}`.trim(),
    age: span(now.value - at),
  })}</span>
`;

/** How long ago a device last said something. @param {{atMs: number | null}} props */
export function Age({ atMs }) {
  if (atMs === null) return html`<span class="age small muted">${T('age.never')}</span>`;
  const ageMs = now.value - atMs;
  const text = ageMs < JUST_MS ? T('age.now') : T('age.ago', { age: span(ageMs) });
  return html`<span class="age small muted number nowrap" title=${when(atMs)}>${text}</span>`;
}

// ---- controls -------------------------------------------------------------------------------------------------------

/**
 * One of a few.
 * @param {{label: string, value: string, options: [string, string][], onChange: (value: string) => void}} props
 */
export const Segments = ({ label, value, options, onChange }) => html`
  <span class="segments" role="group" aria-label=${label}>
    ${options.map(([key, text]) => html`
      <button type="button" key=${key} aria-pressed=${value === key} onClick=${() => onChange(key)}>${text}</button>
    `)}
  </span>
`;

/** @param {{value: string, label: string, onInput: (text: string) => void}} props */
export const Search = ({ value, label, onInput }) => html`
  <span class="search">
    <${Icon} name="search" />
    <input type="search" data-search="1" aria-label=${label} placeholder=${label} value=${value}
      onInput=${(event) => onInput(event.target.value)} />
  </span>
`;

// ---- a view's other states ------------------------------------------------------------------------------------------

/** Nothing to show, and why. @param {{icon?: string, title: string, children?: any}} props */
export const Empty = ({ icon = 'empty', title, children }) => html`
  <div class="state" data-state="empty"><${Icon} name=${icon} /><b>${title}</b>${children}</div>
`;

/** Grey bars, after 0.3 s. @param {{rows?: number, height?: number}} props */
export const Loading = ({ rows = 3, height = 44 }) => html`
  <div data-state="loading" role="status" aria-label=${T('state.loading')}>
    ${Array.from({ length: rows }, () => html`<div class="skeleton" style=${{ height: `${height}px` }} />`)}
  </div>
`;

/** What failed, in the server's words, and a way to try again. @param {{problem: any, retry?: () => void}} props */
export function Failed({ problem, retry }) {
  const denied = problem.status === 403;
  return html`
    <div class="state" data-state=${denied ? 'denied' : 'error'} role="alert">
      <${Icon} name=${denied ? 'lock' : problem.status ? 'warning' : 'link'} />
      <b>${denied ? T('state.denied') : problem.title}</b>
      <span>${problem.detail}</span>
      ${retry && !denied && html`<button type="button" class="button" onClick=${retry}>${T('state.retry')}</button>`}
    </div>
  `;
}

/**
 * Ask for something when a view opens (and again when `key` changes); what came of it, for the view's six states.
 * @param {() => Promise<any>} ask
 * @param {string} key
 * @param {number} [everyMs] ask again so often
 */
export function useAsked(ask, key, everyMs) {
  const [answer, setAnswer] = useState({ key: '', data: null, problem: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    let over = false;
    ask().then(
      (data) => over || setAnswer({ key, data, problem: null }),
      (problem) => over || setAnswer((before) => ({ key, data: before.key === key ? before.data : null, problem })),
    );
    const timer = everyMs ? setTimeout(() => setRound(round + 1), everyMs) : 0;
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [key, round]);
  const current = answer.key === key;
  return {
    data: current ? answer.data : null,
    problem: current ? answer.problem : null,
    loading: !current,
    retry: () => setRound(round + 1),
  };
}
