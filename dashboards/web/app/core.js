/**
 * The framework in one place, the URL as the state of the view, and what this browser remembers.
 * Pages import from here and never from 'preact' themselves.
 */
import { Fragment, h, render } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { batch, computed, effect, signal, untracked } from '@preact/signals';
import htm from 'htm';

export const html = htm.bind(h);
export { Fragment, batch, computed, effect, h, render, signal, untracked };
export { useEffect, useLayoutEffect, useMemo, useRef, useState };

/** Where this version's files are. */
export const ASSETS = new URL('..', import.meta.url).pathname.replace(/\/$/, '');

// ---- what this browser remembers ------------------------------------------------------------------------------------

/**
 * A signal that this browser keeps over a reload.
 * @template T
 * @param {string} key
 * @param {T} fallback
 * @returns {import('@preact/signals').Signal<T>}
 */
export function remembered(key, fallback) {
  let first = fallback;
  try {
    const text = localStorage.getItem(key);
    if (text !== null) first = JSON.parse(text);
  } catch {
    // no storage, or not ours: the fallback will do
  }
  const it = signal(first);
  effect(() => {
    const text = JSON.stringify(it.value);
    try {
      localStorage.setItem(key, text);
    } catch {
      // private mode: remembered until the page is closed
    }
  });
  return it;
}

/** 'day' or 'night'. */
export const theme = remembered('theme', 'day');
effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

/** Whether the screen is a phone's (the same number stands in the style sheets). */
const narrow = matchMedia('(max-width: 900px)');
export const phone = signal(narrow.matches);
narrow.addEventListener('change', () => {
  phone.value = narrow.matches;
});

// ---- the URL is the view --------------------------------------------------------------------------------------------

/** @returns {{path: string, query: URLSearchParams}} */
const here = () => ({ path: location.pathname, query: new URLSearchParams(location.search) });

/** Page and query of the address. */
export const route = signal(here());

/**
 * Go to an address of the console.
 * @param {string} url
 * @param {boolean} [replace] do not add a step to the browser's history
 */
export function go(url, replace = false) {
  history[replace ? 'replaceState' : 'pushState'](null, '', url);
  route.value = here();
}

/**
 * The address of this page with some of its query changed; an empty value takes a key away.
 * @param {Record<string, string | number | boolean | null | undefined>} changes
 * @returns {string}
 */
export function withQuery(changes) {
  const query = new URLSearchParams(route.value.query);
  for (const [key, value] of Object.entries(changes)) {
    if (value === '' || value === null || value === undefined || value === false) query.delete(key);
    else query.set(key, String(value));
  }
  const text = query.toString();
  return route.value.path + (text && '?' + text);
}

/**
 * A part of the query; '' when it is not there.
 * @param {string} key
 * @returns {string}
 */
export const query = (key) => route.value.query.get(key) || '';

/**
 * Change the query without a step in the browser's history (filters, selections).
 * @param {Record<string, any>} changes
 */
export const setQuery = (changes) => go(withQuery(changes), true);

addEventListener('popstate', () => {
  route.value = here();
});
document.addEventListener('click', (event) => {
  const link = event.target instanceof Element ? event.target.closest('a[href^="/"]:not([data-native])') : null;
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  if (link && plain && !event.defaultPrevented && !link.hasAttribute('download')) {
    event.preventDefault();
    go(link.getAttribute('href') || '/');
  }
});
