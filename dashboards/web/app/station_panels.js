/** A station's alarms, its last commands, and all of its points. */
import { html, query, setQuery } from './core.js';
import { get } from './api.js';
import { actionOf } from './station.js';
import { commands, read, shelved, standing } from './store.js';
import { AlarmItem, Empty, Failed, Icon, Loading, Value, useAsked } from './ui.js';
import { T, name, when } from './words.js';

const LAST_COMMANDS = 5;

/** @param {{device: any}} props */
export function AlarmsHere({ device }) {
  const here = standing.value.filter((it) => it.device === device.id);
  const aside = shelved.value.filter((it) => it.device === device.id);
  return html`
    <section class="panel" aria-label=${T('station.alarms')}>
      <header><h2>${T('station.alarms')}</h2></header>
      ${here.map((it) => html`<${AlarmItem} key=${it.id} alarm=${it} source="" advice=${true} />`)}
      ${!here.length && !aside.length && html`<${Empty} icon="yes" title=${T('station.calm')} />`}
      ${aside.map((it) => html`
        <a key=${it.id} class="alarm-item" href="/alarms?state=shelved&id=${encodeURIComponent(it.id)}"
          data-testid="shelved-here"><${Icon} name="clock" />
          <div class="grow"><div>${name(it.say)}</div><div class="small muted">
            ${T('shelf.until', { until: when(it.shelved.until, 'minute'), who: it.shelved.by })}${': '}
            ${it.shelved.note}</div></div></a>
      `)}
    </section>
  `;
}

/** @param {{device: any}} props */
export function CommandsHere({ device }) {
  const live = [...commands.value.values()].filter((it) => it.device === device.id);
  const asked = useAsked(
    () => get(`/commands?device=${encodeURIComponent(device.id)}&limit=${LAST_COMMANDS}`),
    device.id,
  );
  const all = new Map([...(asked.data?.commands || []), ...live].map((it) => [it.id, it]));
  const last = [...all.values()].sort((a, b) => b.asked_at.localeCompare(a.asked_at)).slice(0, LAST_COMMANDS);
  return html`
    <section class="panel" aria-label=${T('station.commands')}>
      <header><h2>${T('station.commands')}</h2></header>
      ${asked.loading && html`<${Loading} rows=${2} height=${32} />`}
      ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
      ${!asked.loading && !last.length && html`<p class="muted small">${T('station.no_commands')}</p>`}
      <ul class="history">${last.map((it) => html`
        <li key=${it.id} data-stage=${it.stage || 'given'}>
          <span class="number small muted">${when(it.asked_at)}</span>
          <span class="grow">${name(actionOf(device, it.action)?.title) || it.action} <span class="small muted">
            ${it.asked_by}</span></span>
          <span class="tag ${it.final && it.stage !== 'confirmed' ? 'strong' : ''}">
            ${T(`stage.${it.stage || 'given'}`)}</span>
        </li>
      `)}</ul>
    </section>
  `;
}

/** @param {{device: any}} props */
export function AllPoints({ device }) {
  const open = Boolean(query('points'));
  const toggle = (event) => event.target.open !== open && setQuery({ points: event.target.open ? 1 : '' });
  const points = open ? device.plate.points : [];
  return html`
    <details class="panel all-points no-print" open=${open} onToggle=${toggle}>
      <summary><h2>${T('station.points', { n: device.plate.points.length })}</h2></summary>
      <ul class="points">${points.map((point) => html`
        <li key=${point.key}>
          <a href="/point/${device.id}/${point.key}">${name(point.title)}</a>
          <${Value} reading=${read(device, point.key)} />
        </li>
      `)}</ul>
    </details>
  `;
}
