/** Why something may not be done now, in words that stand beside the button. */
import { isLive, link } from './link.js';
import { whyDead } from './station.js';
import { may, mayWith } from './store.js';
import { T, span } from './words.js';

/** Why no command may be given to this device now; '' when one may. @param {any} device */
export function whyNoCommands(device) {
  if (!may('command')) return T('no.right.command');
  if (!mayWith('command', device)) return T('no.right.here');
  if (!isLive.value) return T('no.stream', { age: span(link.value.ageMs) });
  const why = whyDead(device);
  return why && T('no.dead', { why });
}

/** Why an alarm of this device, or (without one) any alarm, may not be acknowledged; '' when it may. */
export function whyNoAcknowledge(device = null) {
  if (!may('acknowledge')) return T('no.right.acknowledge');
  return device && !mayWith('acknowledge', device) ? T('no.right.here') : '';
}
