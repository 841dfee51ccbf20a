/** Who is told of alarms: channels, who is on duty, who comes after whom, and what became of each message. */
import { html, useState } from '../core.js';
import { told } from '../alarm_words.js';
import { get, post } from '../api.js';
import { pageOf } from '../station.js';
import { deviceOf, may } from '../store.js';
import { Empty, Failed, Icon, Loading, useAsked } from '../ui.js';
import { T, name, num, when } from '../words.js';

const AGAIN_MS = 5_000;
const MORE = 100;

export function Notices() {
  const [count, setCount] = useState(MORE);
  const asked = useAsked(() => get(`/notices?limit=${count}`), `notices ${count}`, AGAIN_MS);
  const it = asked.data;
  return html`
    <div class="page-head"><h1>${T('notices.title')}</h1><span class="muted">${T('notices.note')}</span></div>
    ${asked.loading && html`<${Loading} rows=${4} height=${90} />`}
    ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
    ${it && !it.channels.length && html`<section class="panel">
      <${Empty} icon="mute" title=${T('notices.none')}><span>${T('notices.none.next')}</span><//></section>`}
    ${it && html`<div class="system">
      ${it.channels.length > 0 && html`<${Channels} channels=${it.channels} retry=${asked.retry} />`}
      ${it.duty.length > 0 && html`<${Duty} duty=${it.duty} />`}
      ${it.routes.length > 0 && html`<${Routes} routes=${it.routes} />`}
      ${(it.channels.length > 0 || it.notices.length > 0) && html`
        <${Log} notices=${it.notices} waiting=${it.waiting}
          more=${it.next !== null && (() => setCount(count + MORE))} />`}
    </div>`}
  `;
}

/** @param {{channels: any[], retry: () => void}} props */
function Channels({ channels, retry }) {
  const [tried, setTried] = useState(/** @type {Record<string, any>} */ ({}));
  const tryOut = async (channel, person) => {
    const say = (text) => setTried((all) => ({ ...all, [channel]: text }));
    say({ text: T('notices.trying') });
    try {
      const { failing } = await post('/notices/try', { channel, person });
      say({ text: failing ? T('notices.not_taken', { why: failing }) : T('notices.taken'), failed: Boolean(failing) });
    } catch (problem) {
      say({ text: problem.detail, failed: true });
    }
    retry();
  };
  return html`
    <section class="panel" aria-label=${T('notices.channels')}>
      <header><h2>${T('notices.channels')}</h2></header>
      <ul class="checks">${channels.map((it) => html`
        <li key=${it.name} class=${it.failing ? 'fails' : ''} data-testid="channel-${it.name}">
          <${Icon} name=${it.failing ? 'no' : it.sent ? 'yes' : 'unknown'} />
          <span class="grow"><b>${it.name}</b> ${T('notices.sent', { n: num(it.sent), failed: num(it.failed) })}
            ${it.sent_at && html` · <span class="number">${when(it.sent_at)}</span>`}
            ${it.failing && html`<div class="small">${T('notices.not_taken', { why: it.failing })}</div>`}
            ${tried[it.name] && !(it.failing && tried[it.name].failed) && html`
              <div class="small" role="status" data-testid="tried">${tried[it.name].text}</div>`}
            ${may('commission') && html`<${Try} channel=${it} tryOut=${tryOut} />`}
          </span></li>
      `)}</ul>
    </section>
  `;
}

/** @param {{channel: any, tryOut: (channel: string, person: string) => void}} props */
function Try({ channel, tryOut }) {
  const [person, setPerson] = useState(channel.people[0] || '');
  return html`
    <div class="row wrap no-print">
      ${channel.people.length > 0 && html`
        <select aria-label=${T('notices.who')} value=${person} onChange=${(event) => setPerson(event.target.value)}>
          ${channel.people.map((it) => html`<option key=${it} value=${it} selected=${it === person}>${it}</option>`)}
        </select>`}
      <button type="button" class="button" onClick=${() => tryOut(channel.name, person)}>${T('notices.try')}</button>
    </div>
  `;
}

/** @param {{duty: {shift: string, people: string[]}[]}} props */
const Duty = ({ duty }) => html`
  <section class="panel" aria-label=${T('notices.duty')}>
    <header><h2>${T('notices.duty')}</h2></header>
    <dl class="facts" data-testid="duty">${duty.map((it) => html`
      <dt key=${it.shift}>${it.shift}</dt><dd>${it.people.join(', ') || T('notices.nobody')}</dd>`)}</dl>
  </section>
`;

/** @param {{routes: {name: string, steps: {after_s: number, tell: string[]}[]}[]}} props */
const Routes = ({ routes }) => html`
  <section class="panel" aria-label=${T('notices.routes')}>
    <header><h2>${T('notices.routes')}</h2></header>
    ${routes.map((route) => html`
      <h3 key=${route.name}>${route.name}</h3>
      <dl class="facts">${route.steps.map((step) => html`
        <dt key=${step.after_s} class="number">${T('notices.after', { minutes: num(step.after_s / 60) })}</dt>
        <dd>${step.tell.map(whom).join(', ')}</dd>`)}</dl>
    `)}
  </section>
`;

/** "role:water_operator" in words. @param {string} text */
function whom(text) {
  const [kind, ...rest] = text.split(':');
  const it = rest.join(':');
  if (kind === 'role') return T('notices.role', { name: T(`role.${it}`) });
  return kind === 'person' ? it : T(kind === 'shift' ? 'notices.shift' : 'notices.group', { name: it });
}

/** @param {{notices: any[], waiting: number, more: false | (() => void)}} props */
const Log = ({ notices, waiting, more }) => html`
  <section class="panel wide" aria-label=${T('notices.log')}>
    <header><h2>${T('notices.log')}</h2><span class="muted small">${T('notices.waiting', { n: num(waiting) })}</span>
    </header>
    ${!notices.length && html`<${Empty} icon="yes" title=${T('notices.log.none')} />`}
    ${notices.length > 0 && html`
      <div class="scroll" tabindex="0" role="region" aria-label=${T('notices.log')}>
        <table class="table" data-testid="notices">
          <thead><tr><th scope="col">${T('alarm.time')}</th><th scope="col">${T('alarm.source')}</th>
            <th scope="col">${T('notices.alarm')}</th><th scope="col">${T('history.what')}</th></tr></thead>
          <tbody>${notices.map((it) => html`
            <tr key=${it.number} data-outcome=${it.outcome}><td class="number nowrap">${when(it.at)}</td>
              <td class="nowrap">${it.device && html`<a href=${pageOf(deviceOf(it.device), it.device)}>
                ${deviceOf(it.device)?.name || it.device}</a>`}</td>
              <td>${name(it.say) || it.rule}</td><td>${told(it)}</td></tr>
          `)}</tbody>
        </table>
      </div>`}
    ${more && html`<button type="button" class="button quiet more no-print" onClick=${more}>
      ${T('history.earlier')}</button>`}
  </section>
`;
