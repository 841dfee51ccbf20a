/** Only in a demo: break the simulated stations in the ways that real ones break, and see what the console says. */
import { html, query, setQuery, useState } from '../core.js';
import { get, post } from '../api.js';
import { deviceOf, devices, may, site } from '../store.js';
import { Empty, Failed, Icon, Loading, Search, useAsked } from '../ui.js';
import { T, name } from '../words.js';

const AGAIN_MS = 4_000;
const HOW_LONG = ['60', '300', ''];

export function DemoPage() {
  if (!site.value?.demo) return html`<${Empty} title=${T('demo.none')} />`;
  if (!may('commission')) return html`<${Failed} problem=${{ status: 403, detail: T('demo.right') }} />`;
  return html`<${Faults} />`;
}

function Faults() {
  const asked = useAsked(() => get('/demo/faults'), 'faults', AGAIN_MS);
  const [told, setTold] = useState(null);
  const [problem, setProblem] = useState(null);
  const [forS, setForS] = useState(HOW_LONG[1]);
  if (asked.loading) return html`<${Loading} rows=${6} height=${44} />`;
  const all = (told || asked.data)?.faults;
  if (!all) return html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`;
  const stations = [...new Set(all.map((it) => it.station))];
  const station = stations.includes(query('station')) ? query('station') : stations[0];
  const on = all.filter((it) => it.on);

  const set = async (fault, to) => {
    setProblem(null);
    try {
      const order = { station: fault.station, fault: fault.fault, on: to };
      setTold(await post('/demo/faults', to && forS ? { ...order, for_s: Number(forS) } : order));
      setTimeout(() => setTold(null), AGAIN_MS);
    } catch (wrong) {
      setProblem(wrong);
    }
  };
  const wanted = query('q').toLowerCase();
  const listed = all.filter(
    (it) => it.station === station && (!wanted || `${it.fault} ${name(it.title)}`.toLowerCase().includes(wanted)),
  );
  const nameOf = (id) => deviceOf(id)?.name || id;

  return html`
    <div class="page-head"><h1>${T('demo.title')}</h1><span class="muted">${T('demo.note')}</span></div>
    ${problem && html`<${Failed} problem=${problem} />`}
    <div class="demo">
      <section class="panel" aria-label=${T('demo.stations')}>
        <header><h2>${T('demo.stations')}</h2></header>
        <div class="choices">${stations.map((it) => {
          const count = on.filter((fault) => fault.station === it).length;
          return html`<button type="button" class="button" key=${it} aria-pressed=${it === station}
            onClick=${() => setQuery({ station: it })}>${nameOf(it)}${count > 0 && html` <span class="tag strong">
              ${count}</span>`}</button>`;
        })}</div>
      </section>
      <section class="panel" aria-label=${nameOf(station)}>
        <header>
          <h2>${nameOf(station)}</h2><a class="button" href="/station/${station}">${T('alarm.go')}</a><span
            class="grow" />
          <${Search} value=${query('q')} label=${T('demo.search')} onInput=${(q) => setQuery({ q })} />
          <label class="row small">${T('demo.for')}
            <select value=${forS} onChange=${(event) => setForS(event.target.value)}>
              ${HOW_LONG.map((it) => html`<option key=${it} value=${it} selected=${it === forS}>
                ${it ? T('demo.seconds', { n: Number(it) }) : T('demo.until')}</option>`)}
            </select></label>
        </header>
        <ul class="faults many">${listed.map((it) => html`
          <li key=${it.fault} class=${it.on ? 'on' : ''}>
            <span class="grow">${name(it.title)}<div class="code muted">${it.fault}</div></span>
            <button type="button" class="button ${it.on ? 'danger' : ''}" aria-pressed=${it.on}
              data-testid="fault-${it.fault}"
              aria-label="${T(it.on ? 'demo.off' : 'demo.on')}: ${name(it.title)}" onClick=${() => set(it, !it.on)}>
              <${Icon} name=${it.on ? 'stop' : 'bolt'} />${T(it.on ? 'demo.off' : 'demo.on')}</button>
          </li>
        `)}</ul>
      </section>
      <section class="panel" aria-label=${T('demo.active')}>
        <header><h2>${T('demo.active')}</h2></header>
        ${!on.length && html`<p class="muted">${T('demo.quiet')}</p>`}
        <ul class="faults">${on.map((it) => html`
          <li key=${it.station + it.fault}><span class="grow"><a href="/station/${it.station}">${nameOf(it.station)}
            </a> · ${name(it.title)}</span>
            <button type="button" class="button" aria-label="${T('demo.off')}: ${nameOf(it.station)} ${name(it.title)}"
              onClick=${() => set(it, false)}>${T('demo.off')}</button></li>
        `)}</ul>
      </section>
    </div>
    ${!devices.value.length && html`<${Empty} title=${T('overview.none')} />`}
  `;
}
