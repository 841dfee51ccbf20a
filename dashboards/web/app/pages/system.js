/** The house about itself: drivers, links, what waits for the disk, and what could not be read. */
import { html } from '../core.js';
import { get } from '../api.js';
import { link } from '../link.js';
import { devices, may, read } from '../store.js';
import { now } from '../time.js';
import { Empty, Failed, Icon, Loading, Value, useAsked } from '../ui.js';
import { T, fully, num, say, span, toMs, when } from '../words.js';

const AGAIN_MS = 5_000;

export function System() {
  const asked = useAsked(() => get('/system'), 'system', AGAIN_MS);
  if (asked.loading) return html`<${Loading} rows=${4} height=${90} />`;
  if (!asked.data) return html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`;
  const told = asked.data;
  return html`
    <div class="page-head"><h1>${T('system.title')}</h1>
      <span class="muted">FieldHub ${told.version}</span>
      <span class="muted small">
        ${T('system.up', { age: span(now.value - (toMs(told.started_at) || 0)), at: fully(told.started_at) })}</span>
          </div>
    ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
    <div class="system">
      <section class="panel" aria-label=${T('system.health')}>
        <header><h2>${T('system.health')}</h2></header>
        <ul class="checks">
          <${Check} fine=${told.ready.ok} text=${told.ready.ok ? T('system.ready') : told.ready.why} />
          <${Check} fine=${told.ledger.healthy} text=${T('system.ledger', { n: num(told.ledger.backlog) })}
            note=${told.ledger.last_error} />
          <${Check} fine=${!told.historian.dropped && !told.historian.last_error}
            text=${T('system.historian', { n: num(told.historian.backlog), lost: num(told.historian.dropped) })}
              note=${told.historian.last_error} />
          <${Check} fine=${told.stream.viewers < told.stream.most}
            text=${T('system.stream', { n: num(told.stream.viewers), most: num(told.stream.most) })} />
          <${Check} fine=${link.value.state === 'live'}
            text=${T(`link.${link.value.state}`, { age: span(link.value.ageMs) })} />
          ${told.clock.settings.map((it) => html`<${Check} key=${it.now} fine=${false}
            text=${T(it.did === 'set back' ? 'system.clock.back' : 'system.clock.ahead', { by: span(it.by_s * 1000) })}
            note=${T('system.clock.note', { was: fully(it.was), now: fully(it.now) })} />`)}
        </ul>
      </section>
      <${History} told=${told.historian} />
      <${Jobs} jobs=${told.jobs} />
      <${Counts} counts=${told.counts} />
      <${Links} />
      <${Puzzles} />
    </div>
  `;
}

/** @param {{fine: boolean, text: string, note?: string}} props */
const Check = ({ fine, text, note }) => html`
  <li class=${fine ? '' : 'fails'}><${Icon} name=${fine ? 'yes' : 'no'} />
    <span>${text}${note && html`<div class="small muted">${note}</div>`}</span></li>
`;

/** Where readings are: files, a server, what waits for it, what was left out, and when the oldest day goes. */
const History = ({ told }) => {
  const { store } = told;
  const server = store.mirror || (store.url ? store : null);
  const wrong = [store.seal_error, store.merge_error, ...(store.damage || [])].filter(Boolean);
  return html`
    <section class="panel" aria-label=${T('system.history')}>
      <header><h2>${T('system.history')}</h2></header>
      <ul class="checks">
        ${wrong.map((text) => html`<${Check} key=${text} fine=${false} text=${text} />`)}
        ${server && html`<${Check} fine=${!server.send_error && !server.dropped} note=${server.send_error}
          text=${T('system.server', { url: server.url, n: num(server.waiting_points), lost: num(server.dropped) })} />`}
      </ul>
      <dl class="facts">
        ${'segments' in store && html`
          <dt>${T('system.files')}</dt><dd class="number">${num(store.segments + store.rollups)}</dd>
          <dt>${T('system.readings')}</dt><dd class="number">${num(store.segment_points + store.head_points)}</dd>
          <dt>${T('system.size')}</dt>
          <dd class="number">${num(Math.round((store.segment_bytes + store.rollup_bytes) / 1e6))}</dd>
          <dt>${T('system.purge')}</dt>
          <dd>${store.next_purge_us ? when(store.next_purge_us / 1000) : T('system.purge.never')}</dd>`}
        <dt>${T('system.left_out')}</dt><dd class="number">${num(told.left_out)}</dd>
      </dl>
    </section>
  `;
};

/** @param {{jobs: any[]}} props */
const Jobs = ({ jobs }) => html`
  <section class="panel" aria-label=${T('system.jobs')}>
    <header><h2>${T('system.jobs')}</h2></header>
    <ul class="checks">${jobs.map((it) => html`
      <li key=${it.name} class=${it.running ? '' : 'fails'}><${Icon} name=${it.running ? 'yes' : 'no'} />
        <span><span class="code">${it.name}</span> ${T(it.running ? 'system.running' : 'system.stopped')}
          ${it.restarts > 0 && html` · ${T('system.restarts', { n: it.restarts })}`}
          ${it.error && html`<div class="small muted">${it.error}</div>`}</span></li>
    `)}</ul>
  </section>
`;

/** @param {{counts: Record<string, number>}} props */
const Counts = ({ counts }) => html`
  <section class="panel" aria-label=${T('system.counts')}>
    <header><h2>${T('system.counts')}</h2></header>
    <dl class="facts">${Object.entries(counts).map(([key, value]) => html`
      <dt key=${key}>${T(`count.${key}`)}</dt><dd class="number">${num(value)}</dd>`)}</dl>
  </section>
`;

/** Every device that has a link, the worst first. */
function Links() {
  const rank = (it) => ['down', 'degraded', 'up'].indexOf(String(it.link.value));
  const all = devices.value.map((device) => ({ device, link: read(device, 'link') })).filter((it) => it.link);
  all.sort((a, b) => rank(a) - rank(b));
  const up = all.filter((it) => it.link?.value === 'up').length;
  return html`
    <section class="panel" aria-label=${T('system.links')}>
      <header><h2>${T('system.links')}</h2><span class="muted small">
        ${T('system.links.up', { n: up, all: all.length })}</span></header>
      ${!all.length && html`<${Empty} title=${T('overview.none')}>${T('overview.none.next')}<//>`}
      <ul class="points">${all.map(({ device, link: reading }) => html`
        <li key=${device.id}><a href="/station/${device.id}">${device.name}</a>
          <span class="row"><${Value} reading=${reading} /><${Value} reading=${read(device, 'link.rtt')} /></span></li>
      `)}</ul>
    </section>
  `;
}

/** What came in and could not be understood: shown, never thrown away silently. */
function Puzzles() {
  return html`
    <section class="panel wide" aria-label=${T('puzzles.title')}>
      <header><h2>${T('puzzles.title')}</h2><span class="muted small">${T('puzzles.note')}</span></header>
      ${
        may('commission')
          ? html`<${PuzzleTable} />`
          : html`<${Failed} problem=${{ status: 403, detail: T('no.right.commission') }} />`}
    </section>
  `;
}

function PuzzleTable() {
  const asked = useAsked(() => get('/puzzles'), 'puzzles', AGAIN_MS);
  if (asked.loading) return html`<${Loading} rows=${2} height=${32} />`;
  if (!asked.data) return html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`;
  const { puzzles } = asked.data;
  if (!puzzles.length) return html`<${Empty} icon="yes" title=${T('puzzles.none')} />`;
  return html`
    <div class="scroll short" tabindex="0" role="region" aria-label=${T('puzzles.title')}>
      <table class="table">
        <thead><tr><th scope="col">${T('alarm.time')}</th><th scope="col">${T('puzzles.from')}</th>
          <th scope="col">${T('puzzles.why')}</th><th scope="col">${T('puzzles.bytes')}</th></tr></thead>
        <tbody>${puzzles.map((it, n) => html`
          <tr key=${n}><td class="number nowrap">${when(it.at)}</td><td class="code">${it.address}</td>
            <td>${say(it.why)}</td><td class="code bytes">${it.raw}</td></tr>
        `)}</tbody>
      </table>
    </div>
  `;
}
