/** Whether what is shown is live, late or lost: judged by when the stream last said anything. */
import { computed, signal } from './core.js';
import { now } from './time.js';

const LATE_MS = 7_000;
const LOST_MS = 15_000;

/** When the stream last said something, by the PC's own clock; and what its connection says of itself. */
const heard = signal(0);
const connection = signal('wait');

/** @param {'wait' | 'live' | 'off'} state */
export const setConnection = (state) => {
  connection.value = state;
};

/** The stream said something. */
export const hear = () => {
  heard.value = Date.now();
  connection.value = 'live';
};

/** {state: 'wait' | 'live' | 'lag' | 'off', ageMs} */
const judged = computed(() => {
  void now.value; // again each second
  if (!heard.value) return { state: connection.value === 'off' ? 'off' : 'wait', ageMs: 0 };
  const ageMs = Date.now() - heard.value;
  if (ageMs > LOST_MS) return { state: 'off', ageMs };
  if (ageMs > LATE_MS || (connection.value !== 'live' && ageMs > 2_000)) return { state: 'lag', ageMs };
  return { state: 'live', ageMs };
});

export const link = judged;

/** The state alone, for those who do not show the age. */
export const linkState = computed(() => link.value.state);

/** Whether commands may be given now. */
export const isLive = computed(() => linkState.value === 'live');
