/** The rules: what each looks for, what it says and asks for, and the story that proves it. */
import { html, phone, query, setQuery } from '../core.js';
import { get } from '../api.js';
import { pageOf } from '../station.js';
import { deviceOf } from '../store.js';
import { Empty, Failed, Icon, Level, Loading, Search, useAsked } from '../ui.js';
import { T, name, num, say, span } from '../words.js';

const AGAIN_MS = 10_000;

export function Rules() {
  const asked = useAsked(() => get('/rules'), 'rules', AGAIN_MS);
  const states = useAsked(ofDevice, `rules ${query('device')}`, AGAIN_MS);
  if (asked.loading) return html`<${Loading} rows=${8} />`;
  if (!asked.data) return html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`;
  const device = query('device');
  const stands = (it) => (device && states.data?.rules.filter((one) => partOf(one.rule) === it.name)) || null;
  const every = asked.data.rules.filter((it) => stands(it)?.length !== 0);
  const sought = query('q').toLowerCase();
  const found = every.filter((it) => textOf(it).includes(sought));
  // An alarm names its rule with the part of the device: "pump dry running / pump2".
  const chosen = every.find((it) => it.name === partOf(query('rule'))) || null;
  return html`
    <div class="page-head ${chosen ? 'chosen' : ''}"><h1>${T('rules.title')}</h1>
      <${Search} value=${query('q')} label=${T('rules.search')} onInput=${(q) => setQuery({ q, rule: '' })} />
      <span class="muted">${T('rules.count', { n: num(found.length), all: num(every.length) })}</span>
      ${device && html`<a class="button" href=${pageOf(deviceOf(device), device)}><${Icon} name="back" />
        ${deviceOf(device)?.name || device}</a>`}</div>
    ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
    <div class="alarms ${chosen ? 'chosen' : ''}">
      <div class="panel alarm-list">
        ${!found.length && html`<${Empty} title=${T(every.length ? 'rules.none_so' : 'rules.none')} />`}
        ${found.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${T('rules.title')}
          data-testid="rules"><${Table} rules=${found} chosen=${chosen}
          stands=${stands} /></div>`}
      </div>
      <aside class="panel alarm-aside" aria-label=${T('rules.aside')}>
        ${chosen && html`<${One} key=${chosen.name} rule=${chosen} stands=${stands(chosen)} />`}
        ${!chosen && html`<${Empty} title=${T('rules.choose')} />`}
      </aside>
    </div>
  `;
}

/** Of the device in the address, where there is one. */
function ofDevice() {
  const device = query('device');
  return device ? get(`/devices/${encodeURIComponent(device)}/rules`) : Promise.resolve(null);
}

/** The rule's name without the part of the device. @param {string} rule */
const partOf = (rule) => rule.split(' / ')[0];

/** @param {any} it */
const textOf = (it) => [it.name, it.kind, it.when, name(it.say)].join(' ').toLowerCase();

/** @param {{rules: any[], chosen: any, stands: (it: any) => any[] | null}} props */
const Table = ({ rules, chosen, stands }) => html`
  <table class="table pick">
    <thead><tr><th scope="col">${T('alarm.level')}</th><th scope="col">${T('rules.says')}</th>
      <th scope="col">${T('rules.when')}</th>
      <th scope="col" class="right">${T(query('device') ? 'rules.now' : 'rules.standing')}</th></tr></thead>
    <tbody>${rules.map((it) => html`
      <tr key=${it.name} aria-selected=${it === chosen} data-rule=${it.name}
        onClick=${() => setQuery({ rule: it.name })}>
        <td><${Level} level=${it.severity} /></td>
        <td>${name(it.say)}<div class="small muted">${it.name}</div></td>
        <td class="code">${it.when}</td>
        <td class="number right nowrap">${stands(it) ? worst(stands(it)) : it.standing || ''}</td></tr>
    `)}</tbody>
  </table>
`;

/** The worst first. */
const STATES = ['raised', 'pending', 'unknown', 'normal'];

/** How the parts of a device stand, in a word. @param {any} all */
const worst = (all) => T(`rules.${STATES.find((it) => all.some((one) => one.state === it))}`);

/** For want of which points a rule cannot be judged. @param {{stands: any[]}} props */
const Stands = ({ stands }) => html`
  <ul class="checks" data-testid="stands">${stands.map((it) => html`
    <li key=${it.rule} class=${it.state === 'raised' ? 'fails' : ''}>
      <${Icon} name=${{ raised: 'no', normal: 'yes' }[it.state] || 'unknown'} />
      <span>${it.rule}: ${T(`rules.${it.state}`)}
        ${it.wants.map((want) => html`<div class="small muted" key=${want.point}>
          <span class="code">${want.point}</span> ${say(want.why)}</div>`)}</span></li>`)}</ul>
`;

/** @param {{rule: any, stands: any[] | null}} props */
function One({ rule: it, stands }) {
  const held = (s) => (s ? T('rules.for', { time: span(s * 1000) }) : '');
  return html`
    ${phone.value && html`<button type="button" class="button quiet" onClick=${() => setQuery({ rule: '' })}>
      <${Icon} name="back" />${T('rules.back')}</button>`}
    <header class="whole"><${Level} level=${it.severity} /><h2 class="grow">${name(it.say)}</h2></header>
    <dl class="facts" data-testid="rule">
      <dt>${T('rules.name')}</dt><dd>${it.name}</dd>
      <dt>${T('rules.where')}</dt><dd>${[it.kind, ...it.where, it.each].filter(Boolean).join(', ')}</dd>
      <dt>${T('rules.when')}</dt><dd class="code">${it.when} ${held(it.hold_s)}</dd>
      <dt>${T('rules.until')}</dt>
      <dd class="code">${it.until || T('rules.until.not')} ${held(it.until_hold_s)}</dd>
      ${it.unless && html`<dt>${T('rules.unless')}</dt><dd><span class="code">${it.unless}</span>
        <div class="small">${name(it.unless_say)}</div></dd>`}
      ${it.then.length > 0 && html`<dt>${T('rules.then')}</dt><dd class="code">${it.then.join(', ')}</dd>`}
      <dt>${T('rules.file')}</dt><dd class="code">${it.place}</dd>
    </dl>
    ${name(it.do) && html`<h3>${T('alarm.do')}</h3><p class="advice">${name(it.do)}</p>`}
    ${it.standing > 0 && html`<a class="button" href="/alarms">${T('rules.alarms', { n: num(it.standing) })}</a>`}
    ${stands && html`<h3>${T('rules.now')}</h3><${Stands} stands=${stands} />`}
    <h3>${T('rules.story')}</h3>
    ${it.story.length ? html`<${Story} rows=${it.story} />` : html`<p class="muted">${T('rules.story.none')}</p>`}
  `;
}

/** The table that `fieldhub check` plays. @param {{rows: string[][]}} props */
const Story = ({ rows }) => html`
  <div class="scroll" tabindex="0" role="region" aria-label=${T('rules.story')}>
    <table class="table code" data-testid="story">
      <thead><tr>${rows[0].map((it) => html`<th scope="col" key=${it}>${it}</th>`)}</tr></thead>
      <tbody>${rows.slice(1).map((row) => html`
        <tr key=${row[0]}>${row.map((it, n) => html`<td key=${n} class=${n === row.length - 1 ? '' : 'number'}>
          ${it}</td>`)}</tr>`)}</tbody>
    </table>
  </div>
`;
