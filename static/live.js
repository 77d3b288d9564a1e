// Follows what happens, by the server's stream of events, as whoever is signed
// in. It tells only that something happened: what is so now, the page asks for.
// A stream that is away is opened again, behind the last event that came.

import { SignedOut, isAllowed, renewsIn, request } from "./session.js";

const KINDS = ["state", "presence", "alert", "command"];
// For who sees the whole record.
const MORE_KINDS = ["device", "picture"];
// The server says each fifteen seconds that it is there.
const SILENT_MS = 40_000;
const PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

let last = null;
let leaving = null;
let open = false;

export const isListening = () => open;

// Calls `tell` whenever something happened, or may have: until leave().
export function listen(tell) {
  if (leaving) return;
  leaving = new AbortController();
  keepListening(leaving.signal, tell);
}

// `forget`: somebody else may sign in.
export function leave({ forget = false } = {}) {
  leaving?.abort();
  leaving = null;
  open = false;
  if (forget) last = null;
}

async function keepListening(left, tell) {
  let wait = PAUSE_MS;
  while (!left.aborted) {
    let failed = false;
    try {
      await read(left, () => { wait = PAUSE_MS; tell(); });
    } catch (error) {
      // Who asks next finds out, and says so.
      failed = !(error instanceof SignedOut);
      if (!failed && !left.aborted) leave({ forget: true });
    }
    if (left.aborted) return;
    open = false;
    tell();
    // Not all pages at once, when a server comes back.
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)));
    if (failed) wait = Math.min(wait * 2, LONGEST_PAUSE_MS);
  }
}

// Reads one stream to its end; or until it is left, silent for too long, or
// its token is to be renewed.
async function read(left, tell) {
  const call = new AbortController();
  const abort = () => call.abort();
  left.addEventListener("abort", abort);
  let silence = setTimeout(abort, SILENT_MS);
  let renewal = null;
  try {
    const kinds = isAllowed("events:read") ? [...KINDS, ...MORE_KINDS] : KINDS;
    const headers = last === null ? {} : { "Last-Event-ID": last };
    const path = `/api/v1/events/stream?kind=${kinds}`;
    const response = await request(path, { headers, cache: "no-store", signal: call.signal });
    if (!response.ok) throw new Error(response.statusText);
    renewal = setTimeout(abort, renewsIn());
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done || left.aborted) return;
      clearTimeout(silence);
      silence = setTimeout(abort, SILENT_MS);
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      const events = blocks.filter((block) => block.includes("data:"));
      for (const block of blocks) last = /^id: (\d+)$/m.exec(block)?.[1] ?? last;
      // What happened before the stream was there, nobody was told of.
      if (events.length || !open) {
        open = true;
        tell();
      }
    }
  } finally {
    clearTimeout(silence);
    clearTimeout(renewal);
    left.removeEventListener("abort", abort);
  }
}
