/** Grants in words, and the form that puts them together. */
import { html, useState } from './core.js';
import { Select } from './forms.js';
import { Icon } from './icons.js';
import { areas } from './store.js';
import { T } from './words.js';

/** @param {string} code */
const areaName = (code) => areas.value.find((it) => it.code === code)?.name || code;

/** "water operator (East Town)". @param {{role: string, area: string}} it */
export const grantWords = (it) => T(`role.${it.role}`) + (it.area ? ` (${areaName(it.area)})` : '');

/** @param {{role: string, area: string}} it */
const keyOf = (it) => `${it.role}@${it.area}`;

/** Areas as one picks them, each below the one above it. @returns {[string, string][]} */
export function areaOptions() {
  const told = /** @type {[string, string][]} */ ([]);
  const known = new Set(areas.value.map((it) => it.code));
  const add = (parent, depth) => {
    for (const it of areas.value) {
      const above = known.has(it.parent) ? it.parent : '';
      if (above === parent && told.length < known.size) {
        told.push([it.code, `${'\u2003'.repeat(depth)}${it.name}`]);
        add(it.code, depth + 1);
      }
    }
  };
  add('', 0);
  return told;
}

/**
 * Roles in areas, to be changed: what is there with a button that takes it away, and a line that adds one.
 * @param {{grants: any[], roles: Record<string, any>, onChange: (grants: any[]) => void}} props
 */
export function GrantsEditor({ grants, roles, onChange }) {
  const names = Object.keys(roles);
  const [role, setRole] = useState(names[0]);
  const [area, setArea] = useState('');
  const whole = roles[role]?.whole;
  const add = () => {
    const it = { role, area: whole ? '' : area };
    if (!grants.some((one) => keyOf(one) === keyOf(it))) onChange([...grants, it]);
  };
  return html`
    <ul class="grants" aria-label=${T('people.grants')}>
      ${grants.map((it) => html`
        <li key=${keyOf(it)}><span class="tag">${grantWords(it)}</span>
          <button type="button" class="button quiet square" aria-label=${T('grants.take', { what: grantWords(it) })}
            onClick=${() => onChange(grants.filter((one) => one !== it))}><${Icon} name="no" /></button></li>
      `)}
      ${!grants.length && html`<li class="muted">${T('grants.none')}</li>`}
    </ul>
    <div class="row wrap end">
      <${Select} label=${T('grants.role')} name="role" value=${role} onChange=${setRole}
        options=${names.map((it) => [it, T(`role.${it}`)])} />
      <${Select} label=${T('grants.area')} name="area" value=${whole ? '' : area} onChange=${setArea}
        options=${[['', T('grants.everywhere')], ...areaOptions()]} disabled=${whole} />
      <button type="button" class="button" onClick=${add}>${T('grants.add')}</button>
    </div>
  `;
}
