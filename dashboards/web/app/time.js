/** The server's present moment, once a second; the PC's clock may be wrong. */
import { signal } from './core.js';

const TICK_MS = 1000;
let ahead = 0; // of the PC's clock, ms

/** Milliseconds since 1970, by the server's clock. */
export const now = signal(Date.now());

/** The server said what time it is. @param {number} ms */
export function setNow(ms) {
  ahead = Date.now() - ms;
}

/** @returns {number} */
export const present = () => Date.now() - ahead;

setInterval(() => {
  now.value = present();
}, TICK_MS);
