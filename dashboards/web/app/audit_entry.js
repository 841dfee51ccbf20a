/** One entry of the ledger in words. It holds texts from anywhere; all of them are shown as text. */
import { html, phone, setQuery } from './core.js';
import { happened, told } from './alarm_words.js';
import { pageOf } from './station.js';
import { deviceOf } from './store.js';
import { Icon } from './ui.js';
import { NOTHING, T, fully } from './words.js';

/** A text of ours where there is one, else the ledger's own word. @param {string} key @param {string} word */
function known(key, word) {
  const text = T(key);
  return text === key ? word : text;
}

/** @param {string} kind */
export const kindName = (kind) => known(`audit.kind.${kind}`, kind);

/** What was done, in short. @param {any} entry */
export function whatOf(entry) {
  if (entry.kind === 'alarm') return `${happened(entry.body)}: ${entry.topic}`;
  if (entry.kind === 'notice') return told(entry.body);
  if (entry.kind === 'receipt') return `${T(`stage.${entry.step}`)}: ${entry.topic}`;
  if (entry.kind === 'command') return [entry.topic, entry.body.because].filter(Boolean).join(' · ');
  const did = String(entry.body.did || entry.body.event || '');
  const subject = entry.subject && entry.subject !== entry.by ? entry.subject : '';
  const fields = Object.keys(entry.changed).join(', ');
  return [known(`audit.did.${did.replace(/ /g, '_')}`, did), subject, fields].filter(Boolean).join(' · ');
}

/** An address, or a program at the server itself. @param {any} origin */
export const whereFrom = (origin) => (origin ? origin.address || origin.program : '');

/** @param {{entry: any}} props */
export function AuditDetail({ entry }) {
  const { origin, changed } = entry;
  const device = deviceOf(entry.device);
  return html`
    ${phone.value && html`<button type="button" class="button quiet" onClick=${() => setQuery({ id: '' })}>
      <${Icon} name="back" />${T('alarms.back')}</button>`}
    <header class="whole"><h2 class="grow">${kindName(entry.kind)} ${entry.seq}</h2></header>
    <dl class="facts" data-testid="audit-facts">
      <dt>${T('alarm.time')}</dt><dd class="number">${fully(entry.at)}</dd>
      <${Fact} title=${T('audit.person')} text=${entry.by} />
      <${Fact} title=${T('history.what')} text=${whatOf(entry)} />
      <${Fact} title=${T('audit.subject')} text=${entry.subject} />
      ${entry.device && html`<dt>${T('alarm.source')}</dt><dd>${
        device ? html`<a href=${pageOf(device, entry.device)}>${device.name}</a>` : entry.device
      }</dd>`}
      ${origin && html`
        <${Fact} title=${T('audit.address')} text=${origin.address} />
        <${Fact} title=${T('audit.agent')} text=${origin.agent} />
        <${Fact} title=${T('audit.session')} text=${origin.session} />
        <${Fact} title=${T('audit.token')} text=${origin.token} />
        <${Fact} title=${T('audit.program')} text=${origin.program} />
      `}
    </dl>
    ${Object.keys(changed).length > 0 && html`<h3>${T('audit.changed')}</h3><${Changed} changed=${changed} />`}
    <h3>${T('audit.body')}</h3>
    <pre class="code audit-body" tabindex="0" data-testid="audit-body">${JSON.stringify(entry.body, null, 2)}</pre>
    <dl class="facts small audit-hashes">
      <dt>${T('audit.hash')}</dt><dd class="code">${entry.hash}</dd>
      <dt>${T('audit.prev')}</dt><dd class="code">${entry.prev || NOTHING}</dd>
    </dl>
  `;
}

/** @param {{title: string, text: string}} props */
const Fact = ({ title, text }) => (text ? html`<dt>${title}</dt><dd>${text}</dd>` : null);

/** Before and after, side by side. @param {{changed: Record<string, any>}} props */
const Changed = ({ changed }) => html`
  <div class="scroll" tabindex="0" role="region" aria-label=${T('audit.changed')}>
    <table class="table audit-changed" data-testid="audit-changed">
      <thead><tr><th scope="col">${T('audit.field')}</th><th scope="col">${T('audit.before')}</th>
        <th scope="col">${T('audit.after')}</th></tr></thead>
      <tbody>${Object.entries(changed).map(([field, sides]) => html`
        <tr key=${field}><td class="code">${field}</td><td>${side(sides, 0)}</td><td>${side(sides, 1)}</td></tr>
      `)}</tbody>
    </table>
  </div>
`;

/** @param {any} sides @param {number} which */
function side(sides, which) {
  const it = Array.isArray(sides) ? sides[which] : sides;
  if (it === null || it === undefined) return NOTHING;
  return typeof it === 'string' ? it : JSON.stringify(it);
}
