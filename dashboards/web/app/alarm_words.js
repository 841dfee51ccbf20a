/** What happened to an alarm, in a sentence: in its life, in the history and in the audit. */
import { T, when } from './words.js';

/**
 * By whom, and of a shelving until when. One that nobody ended ran out.
 * @param {{event: string, by: string, until?: string | null}} change
 */
export function happened({ event, by, until }) {
  if (event === 'unshelved' && !by) return T('alarm.event.ran_out');
  return T(`alarm.event.${event}`, { who: by, until: when(until, 'minute') });
}
