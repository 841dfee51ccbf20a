/** Asks the API. What goes wrong is thrown as a problem: {status, code, title, detail}; status 0: nobody answered. */
import { signal } from './core.js';
import { T, language } from './words.js';

const API = '/api/v1';
const PATIENCE_MS = 20_000;

/** Of this session; every change must send it. */
let csrf = '';
/** @param {string} token */
export const setCsrf = (token) => {
  csrf = token;
};

/** Counts the answers that said that nobody is signed in any more. */
export const signedOut = signal(0);

/**
 * @param {string} method
 * @param {string} path below /api/v1
 * @param {any} [body]
 * @param {Record<string, string>} [headers]
 */
async function ask(method, path, body, headers = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE_MS);
  let response;
  try {
    response = await fetch(API + path, {
      method,
      signal: stop.signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: {
        'Accept-Language': language.value || 'zh-CN',
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(method === 'GET' ? {} : { 'X-CSRF-Token': csrf }),
        ...headers,
      },
    });
    if (response.ok) return response.status === 204 ? null : await response.json();
  } catch {
    throw { status: 0, code: 'unreachable', title: T('problem.unreachable'), detail: T('problem.unreachable.detail') };
  } finally {
    clearTimeout(timer);
  }
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401 && path !== '/session') signedOut.value += 1;
  throw {
    ...problem,
    status: response.status,
    code: problem.code || 'unknown',
    title: problem.title || T('problem.unknown', { status: response.status }),
    detail: problem.detail || '',
  };
}

/** @param {string} path @returns {Promise<any>} */
export const get = (path) => ask('GET', path);

/** @param {string} path @param {any} [body] @param {Record<string, string>} [headers] @returns {Promise<any>} */
export const post = (path, body = {}, headers) => ask('POST', path, body, headers);

/** @param {string} path @param {any} body @returns {Promise<any>} */
export const put = (path, body) => ask('PUT', path, body);

/** @param {string} path @param {any} body what is to be different @returns {Promise<any>} */
export const patch = (path, body) => ask('PATCH', path, body);

/** @param {string} path @returns {Promise<any>} */
export const end = (path) => ask('DELETE', path);

/** A key that makes asking twice the same command. Not randomUUID: that is missing on plain http. @returns {string} */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
