/** Fields of a form, with what the server says is wrong beside the field that it is about. */
import { html } from './core.js';
import { Icon } from './icons.js';

/** What is wrong with one field; '' when nothing is. @param {any} problem @param {string} where "body.password" */
export const mistake = (problem, where) =>
  (problem?.mistakes || [])
    .filter((it) => it.where === where || it.where.startsWith(`${where}.`))
    .map((it) => it.what)
    .join('; ');

/**
 * @param {{label: string, name: string, wrong?: string, type?: string, children?: any, [more: string]: any}} props
 */
export const Field = ({ label, name, wrong = '', type = 'text', ...more }) => html`
  <label class="field">${label}
    <input name=${name} type=${type} aria-invalid=${Boolean(wrong)} aria-describedby="${name}-wrong" ...${more} />
    <span id="${name}-wrong" role="alert" class="strong">${wrong}</span></label>
`;

/**
 * @param {{label: string, name: string, value: string, options: [string, string][], onChange: (it: string) => void,
 *   [more: string]: any}} props
 */
export const Select = ({ label, name, value, options, onChange, ...more }) => html`
  <label class="field">${label}
    <select name=${name} value=${value} onChange=${(event) => onChange(event.target.value)} ...${more}>
      ${options.map(([key, text]) => html`<option key=${key} value=${key}>${text}</option>`)}
    </select></label>
`;

/** A problem that is about no field, said where it happened. @param {{problem: any, fields?: string[]}} props */
export function Said({ problem, fields = [] }) {
  if (!problem || fields.some((it) => mistake(problem, it))) return null;
  const more = (problem.mistakes || []).map((it) => `${it.where}: ${it.what}`).join('; ');
  return html`<div class="outcome bad" role="alert"><${Icon} name="warning" />
    <div><b>${problem.title}</b><div>${problem.detail}</div>
      ${more && html`<div class="small">${more}</div>`}</div></div>`;
}

/** Names of the form's fields, as an object of what is written in them. @param {Event} event */
export function written(event) {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.target);
  return Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, String(value)]));
}
