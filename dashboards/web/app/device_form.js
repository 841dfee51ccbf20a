/** The form of a device as a row of devices/*.toml has it: adopting one, and changing one that was made by hand. */
import { html, useState } from './core.js';
import { Dialog } from './dialog.js';
import { Field, Said, Select, mistake, written } from './forms.js';
import { areaOptions } from './grants.js';
import { devices } from './store.js';
import { T } from './words.js';

const FIELDS = ['id', 'name', 'kind', 'address', 'profile', 'area', 'settings'];

/** Kinds or profiles that are in use, to choose from. @param {'kind' | 'profile'} what @returns {string[]} */
const known = (what) => [...new Set(devices.value.map((it) => it[what]))].filter(Boolean).sort();

/**
 * @param {{title: string, verb: string, before: any, testid: string, isNew?: boolean, send: (row: any) => Promise<any>,
 *   onDone: () => void, onClose: () => void, children?: any}} props `before`: what stands in the fields at first
 */
export function DeviceForm({ title, verb, before, testid, isNew, send, onDone, onClose, children }) {
  const [area, setArea] = useState(before.area || '');
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [wrong, setWrong] = useState('');
  const onSubmit = async (event) => {
    const it = written(event);
    setProblem(null);
    setWrong('');
    const settings = read(it.settings);
    if (!settings) return setWrong(T('pending.settings.wrong'));
    try {
      await send({ ...it, area, settings });
      onDone();
    } catch (told) {
      setProblem(told);
    }
  };
  const field = (name, more = {}) => html`
    <${Field} label=${T(`pending.${name}`)} name=${name} defaultValue=${before[name] || ''}
      wrong=${mistake(problem, `body.${name}`)} ...${more} />`;
  const footer = html`<button type="button" class="button" onClick=${onClose}>${T('form.cancel')}</button>
    <button type="submit" form=${testid} class="button primary">${verb}</button>`;
  return html`
    <${Dialog} title=${title} onClose=${onClose} footer=${footer} testid=${testid}>
      <form id=${testid} class="col" onSubmit=${onSubmit}>
        ${children}
        ${field('address', { required: true, 'data-first': isNew ? null : '1' })}
        ${isNew && field('id', { required: true, 'data-first': '1', autocapitalize: 'none' })}
        ${field('name', { required: true })}
        ${field('kind', { required: true, list: 'kinds' })}
        ${field('profile', { list: 'profiles' })}
        <${Select} label=${T('grants.area')} name="area" value=${area} onChange=${setArea}
          options=${[['', T('pending.nowhere')], ...areaOptions()]} />
        <${Field} label=${T('pending.settings')} name="settings" class="code"
          defaultValue=${JSON.stringify(before.settings || {})} wrong=${wrong || mistake(problem, 'body.settings')} />
        <datalist id="kinds">${known('kind').map((it) => html`<option key=${it} value=${it} />`)}</datalist>
        <datalist id="profiles">${known('profile').map((it) => html`<option key=${it} value=${it} />`)}</datalist>
        <${Said} problem=${problem} fields=${FIELDS.map((it) => `body.${it}`)} />
      </form>
    <//>
  `;
}

/** What is written, as an object; null when it is none. @param {string} text */
function read(text) {
  try {
    const it = JSON.parse(text || '{}');
    return it && typeof it === 'object' && !Array.isArray(it) ? it : null;
  } catch {
    return null;
  }
}

/** Kind that a new device most likely has. */
export const usualKind = () => known('kind')[0] || '';
