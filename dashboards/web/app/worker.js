/**
 * SharedWorker: one event stream for the whole browser, however many tabs are open (a browser has six connections to a
 * server, and each open stream takes one). Also imported by store.js where there are no shared workers.
 *
 * Tells its tabs {state}, {frame, id}, {beat}, {event: "hello" | "reset" | "bye", id, data}, and
 * {event: "over"}: signed out in another tab.
 */
const STREAM = '/api/v1/stream';
const SILENT_MS = 15_000; // nothing heard for so long: the connection is dead, whatever it says of itself
const LOOK_MS = 1_000;
const PAUSE_MS = [1_500, 2_000, 3_000, 5_000, 8_000, 10_000]; // before the next try, with some jitter

/**
 * Keep one stream open and tell everything that it says.
 * @param {(message: any) => void} tell
 */
export function keepStream(tell) {
  let source = /** @type {EventSource | null} */ (null);
  let heard = Date.now();
  let tries = 0;
  let timer = 0;
  let lastId = '';

  const close = () => {
    clearTimeout(timer);
    timer = 0;
    if (source) source.close();
    source = null;
  };
  const again = () => {
    close();
    tell({ state: 'off' });
    const pause = PAUSE_MS[Math.min(tries++, PAUSE_MS.length - 1)];
    timer = setTimeout(open, pause * (0.8 + 0.4 * Math.random()));
  };
  const note = (event, message) => {
    heard = Date.now();
    tries = 0;
    if (event.lastEventId) lastId = event.lastEventId;
    tell(message);
  };

  function open() {
    close();
    heard = Date.now();
    tell({ state: 'wait' });
    const opened = new EventSource(STREAM + (lastId ? '?last_id=' + encodeURIComponent(lastId) : ''));
    source = opened;
    opened.onmessage = (event) => note(event, { frame: event.data, id: event.lastEventId });
    opened.addEventListener('hb', (event) => note(event, { beat: event.data }));
    for (const kind of ['hello', 'reset', 'bye']) {
      opened.addEventListener(kind, (event) => {
        note(event, { event: kind, id: event.lastEventId, data: event.data });
        if (kind === 'bye') close();
      });
    }
    opened.onerror = again;
  }

  const watch = setInterval(() => {
    if (source && Date.now() - heard > SILENT_MS) again();
  }, LOOK_MS);
  return {
    open: () => {
      lastId = '';
      tries = 0;
      open();
    },
    retry: open,
    close,
    end: () => {
      clearInterval(watch);
      close();
    },
    get running() {
      return Boolean(source || timer);
    },
  };
}

if (typeof SharedWorkerGlobalScope !== 'undefined') {
  /** @type {Set<MessagePort>} */
  const tabs = new Set();
  let last = /** @type {any} */ ({ state: 'wait' });
  const stream = keepStream((message) => {
    if (message.state) last = message;
    else if (last.state !== 'live') last = { state: 'live' };
    for (const tab of tabs) tab.postMessage(message);
  });
  addEventListener('connect', (event) => {
    const tab = event.ports[0];
    tabs.add(tab);
    tab.onmessage = (message) => {
      if (message.data === 'leave') tabs.delete(tab);
      if (message.data === 'leave' && !tabs.size) stream.close();
      if (message.data === 'open' && !stream.running) stream.open();
      if (message.data === 'reopen') stream.open();
      if (message.data === 'open') tab.postMessage(last);
      if (message.data === 'close') {
        stream.close();
        for (const other of tabs) if (other !== tab) other.postMessage({ event: 'over' });
      }
    };
  });
}
