/** The shell: who is signed in, the bar on top, navigation, and which page an address is. */
import { html, phone, render, route, theme, useEffect, useState } from './core.js';
import { get, post } from './api.js';
import { link, linkState } from './link.js';
import { whyNoAcknowledge } from './rights.js';
import { silence, silentUntil, soundState, unlock, unsilence, wanted } from './sound.js';
import { begin, counts, deviceOf, isUnseen, may, session, site, standing, unseen } from './store.js';
import { now, setNow } from './time.js';
import { Empty, Failed, Icon, Lamp, Level, Loading } from './ui.js';
import { T, clock, language, moreTexts, name, span, speak, when, zone } from './words.js';
import { Overview } from './pages/overview.js';

/** Pages that are fetched when they are first opened. @param {Promise<any>} file @param {string} name */
const from = (file, name) => Promise.all([file, moreTexts()]).then(([it]) => it[name]);
const LOGIN = () => import('./pages/login.js').then((it) => it.Login);
const SETUP = () => from(import('./pages/setup.js'), 'Setup');
const FIRST = () => from(import('./pages/first.js'), 'First');
/** @type {[RegExp, () => any, string, string[]][]} address, page, its place in the navigation, names of its parts */
const PAGES = [
  [/^\/$/, () => Overview, '/', []],
  [/^\/station\/hub$/, () => from(import('./pages/system.js'), 'System'), '/system', []], // the hub is a device too
  [/^\/station\/([^/]+)$/, () => from(import('./pages/station.js'), 'Station'), '/', ['id']],
  [/^\/point\/([^/]+)\/([^/]+)$/, () => from(import('./pages/point.js'), 'PointPage'), '/', ['id', 'point']],
  [/^\/alarms$/, () => from(import('./pages/alarms.js'), 'Alarms'), '/alarms', []],
  [/^\/alarms\/kpis$/, () => from(import('./pages/performance.js'), 'Performance'), '/alarms', []],
  [/^\/pending$/, () => from(import('./pages/pending.js'), 'Pending'), '/pending', []],
  [/^\/people$/, () => from(import('./pages/people.js'), 'People'), '/people', []],
  [/^\/system$/, () => from(import('./pages/system.js'), 'System'), '/system', []],
  [/^\/rules$/, () => from(import('./pages/rules.js'), 'Rules'), '/rules', []],
  [/^\/notices$/, () => from(import('./pages/notices.js'), 'Notices'), '/notices', []],
  [/^\/audit$/, () => from(import('./pages/audit.js'), 'Audit'), '/audit', []],
  [/^\/demo$/, () => from(import('./pages/demo.js'), 'DemoPage'), '/demo', []],
  [/^\/me$/, () => from(import('./pages/me.js'), 'Me'), '/me', []],
];
const NAVIGATION = [
  ['/', 'overview'],
  ['/alarms', 'alarms'],
  ['/rules', 'rules'],
  ['/notices', 'notices'],
  ['/pending', 'pending'],
  ['/people', 'people'],
  ['/system', 'system'],
  ['/audit', 'audit'],
  ['/demo', 'demo'],
  ['/me', 'me'],
];

/** @type {Map<any, any>} pages that have come */
const views = new Map();

/** A page, once its file is there. @param {{load: () => any, parts?: any}} props */
function Fetched({ load, parts }) {
  const [round, setRound] = useState(0);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    if (views.has(load)) return;
    setFailed(false);
    Promise.resolve(load()).then(
      (view) => (views.set(load, view), setRound(round + 1)),
      () => setFailed(true),
    );
  }, [load, failed ? round : 0]);
  const View = views.get(load);
  if (View) return html`<${View} ...${parts} />`;
  const problem = { status: 0, title: T('problem.unreachable'), detail: T('problem.unreachable.detail') };
  return failed ? html`<${Failed} problem=${problem} retry=${() => setRound(round + 1)} />` : html`<${Loading} />`;
}
views.set(PAGES[0][1], Overview);

function Page() {
  const { path } = route.value;
  for (const [address, load, , names] of PAGES) {
    const found = address.exec(path);
    if (found) {
      const parts = Object.fromEntries(names.map((it, n) => [it, decodeURIComponent(found[n + 1])]));
      return html`<${Fetched} key=${found[0]} load=${load} parts=${parts} />`;
    }
  }
  return html`<${Empty} title=${T('page.unknown')}><a class="button" href="/">${T('back.overview')}</a><//>`;
}

function Navigation() {
  const here = PAGES.find(([address]) => address.test(route.value.path))?.[2];
  const closed = {
    '/demo': !site.value.demo || !may('commission'),
    '/pending': !may('commission'),
    '/people': !may('roll'),
    '/audit': !may('audit'),
    '/rules': phone.value, // from there by an alarm: a bar of seven is full
  };
  const shown = NAVIGATION.filter(([url]) => !closed[url]);
  return html`
    <nav class="nav" aria-label=${T('nav.label')}>
      ${shown.map(([url, icon]) => html`
        <a href=${url} key=${url} aria-current=${url === here ? 'page' : null}><${Icon} name=${icon} />
          ${T(`nav.${icon}`)}</a>
      `)}
    </nav>
  `;
}

/** How many alarms stand, by level; a bar blinks beside a level with unseen ones. */
const Strip = () => html`
  <nav class="strip" aria-label=${T('strip.label')}>
    ${[1, 2, 3, 4].map((level) => {
      const fresh = unseen.value.some((it) => it.severity === level);
      const count = counts.value[level];
      return html`
        <a key=${level} class="${count || fresh ? '' : 'none'} ${fresh ? 'unseen' : ''}" href="/alarms?p=${level}">
          <${Level} level=${level} /><b class="number">${count}</b></a>
      `;
    })}
  </nav>
`;

/** The most urgent alarm that nobody has seen; one that is over comes after all that stand, and says so. */
function Newest() {
  const alarm = unseen.value.find((it) => it.state !== 'returned') || unseen.value[0];
  if (!alarm) return html`<span class="grow muted clip not-phone">${T('alarms.calm')}</span>`;
  const off = whyNoAcknowledge(deviceOf(alarm.device));
  return html`
    <a class="newest grow not-phone" href="/alarms?id=${alarm.id}" data-testid="newest">
      <span class="number">${when(alarm.raised_at)}</span><b>${deviceOf(alarm.device)?.name || alarm.device}</b>
      ${alarm.state === 'returned' && html`<span class="tag">${T('alarm.state.returned')}</span>`}
      <span class="clip">${name(alarm.say)}</span></a>
    <button type="button" class="button not-phone" disabled=${Boolean(off)} title=${off || null}
      onClick=${() => post(`/alarms/${alarm.id}/acknowledge`, { note: '' }).catch(() => {})}>${T('alarm.ack')}</button>
  `;
}

function Sound() {
  const state = soundState();
  const left = state === 'silent' ? ` ${span(silentUntil.value - now.value)}` : '';
  const press = async () => {
    if (state === 'off') wanted.value = true;
    await unlock();
    if (state === 'on') silence();
    if (state === 'silent') unsilence();
  };
  return html`
    <button type="button" class="button square" data-testid="sound" data-state=${state}
      aria-label=${T(`sound.is_${state}`)}
      title=${T(`sound.is_${state}`)} onClick=${press}>
      <${Icon} name=${state === 'on' ? 'sound' : 'mute'} /><span class="not-phone small">
        ${state === 'on' ? '' : T(`sound.short_${state}`)}${left}</span>
    </button>
  `;
}

const Top = () => html`
  <header class="top">
    <span class="brand not-phone">${T('brand')}<small>${name(site.value.name)}</small></span>
    <${Strip} /><${Newest} /><span class="grow only-phone" />
    <${Lamp} /><${Sound} />
    <span class="number nowrap small not-phone" data-testid="clock" title=${zone.value}>
      ${clock(now.value, 'day')} ${clock(now.value)}</span>
    <button type="button" class="button square not-phone"
      aria-label=${T(theme.value === 'day' ? 'theme.night' : 'theme.day')}
      data-testid="theme" onClick=${() => (theme.value = theme.value === 'day' ? 'night' : 'day')}>
      <${Icon} name=${theme.value === 'day' ? 'moon' : 'sun'} /></button>
    <button type="button" class="button not-phone" data-testid="language"
      lang=${language.value === 'en' ? 'zh-CN' : 'en'}
      onClick=${() => speak(language.value === 'en' ? 'zh-CN' : 'en', get)}>${T('language.other')}</button>
  </header>
`;

/** What everybody must know whatever page they are on: the stream is not live. */
function Notices() {
  const { state, ageMs } = link.value;
  const text =
    state === 'off'
      ? T('notice.off', { age: span(ageMs) })
      : state === 'lag'
        ? T('notice.lag', { age: span(ageMs) })
        : '';
  return html`<div class="notices" role="status">${text && html`
    <div class="notice" data-testid="notice"><${Icon} name="link" /><span>${text}</span></div>`}</div>`;
}

/** Read out once when something urgent comes. */
function Announcer() {
  const alarm = standing.value.find((it) => isUnseen(it) && it.severity <= 2);
  return html`<div class="only-reader" aria-live="polite">${
    alarm ? `${T(`level.${alarm.severity}`)}: ${deviceOf(alarm.device)?.name || ''} ${name(alarm.say)}` : ''
  }</div>`;
}

function App() {
  useEffect(() => {
    document.title = [unseen.value.length ? `(${unseen.value.length})` : '', name(site.value?.name), 'FieldHub']
      .filter(Boolean)
      .join(' ');
  });
  if (!session.value) {
    const setup = route.value.path === '/setup';
    return html`<${Fetched} key=${setup ? 'setup' : 'login'} load=${setup ? SETUP : LOGIN} />`;
  }
  if (session.value.must.length) return html`<${Fetched} key="first" load=${FIRST} />`;
  return html`
    <div class="shell" data-conn=${linkState.value} data-phone=${phone.value}>
      <${Top} /><${Notices} /><${Navigation} />
      <main class="main" id="main" tabindex="-1"><${Page} /></main>
      <${Announcer} />
    </div>
  `;
}

/** It was over since it was asked for. @param {any} problem */
function noneIf401(problem) {
  if (problem.status !== 401) throw problem;
  return null;
}

async function start() {
  const root = /** @type {HTMLElement} */ (document.getElementById('app'));
  try {
    const told = await get('/site');
    zone.value = told.zone;
    setNow(told.now);
    site.value = told;
    const who = told.signed_in ? await get('/session').catch(noneIf401) : null;
    await speak(language.value || who?.language || told.language, get);
    if (who) begin(who, false);
    else session.value = null;
    root.replaceChildren();
    render(html`<${App} />`, root);
    performance.mark('ready');
  } catch {
    // Before any text could be fetched: the page itself has the words, in both languages.
    document.getElementById('no-server')?.removeAttribute('hidden');
    document.getElementById('wait')?.setAttribute('hidden', '');
    setTimeout(start, 3000);
  }
}

addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement)
    return;
  const search = /** @type {HTMLElement | null} */ (document.querySelector('[data-search]'));
  if (search) {
    event.preventDefault();
    search.focus();
  }
});
start();
