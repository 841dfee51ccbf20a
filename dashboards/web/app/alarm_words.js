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

/**
 * What became of telling somebody of an alarm, in a sentence: in its life, on the page of notices and in the audit.
 * @param {{outcome: string, about: string, person?: string, channel?: string, why?: string, tries?: number}} notice
 */
export function told({ outcome, about, person, channel, why, tries }) {
  const who = person || T(outcome === 'nobody' ? 'notice.no_one' : 'notice.group');
  const until = outcome === 'quiet' ? when(why, 'minute') : '';
  const text = T(`notice.${outcome}`, { who, channel, until });
  const of = T(`notice.about.${about}`);
  const failed = outcome === 'failed' ? T('notice.tries', { n: tries || 1, why }) : '';
  return [of, text, failed].filter(Boolean).join(' · ');
}
