// What the board says, in words. Nothing here knows the page.

export const KINDS = { lock: "Locks", light: "Lights", camera: "Cameras", other: "Others" };
export const VERBS = { lock: ["lock", "unlock"], light: ["on", "off"] };
export const WORDS = { lock: "Lock", unlock: "Unlock", on: "Switch on", off: "Switch off" };
export const LABELS = { ...WORDS, on: "On", off: "Off" };

const LOCK_STATES = ["locked", "unlocked", "locking", "unlocking", "jammed", "unknown"];
const MOST_NAMED = 5;
// What went wrong, the worst first.
const WRONG = ["unconfirmed", "failed", "refused", "expired", "offline", "superseded"];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60]];

export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
const count = (list, what) => (list.length === 1 ? `1 ${what}` : `${list.length} ${what}s`);

export function ago(time) {
  const seconds = Math.round((new Date(time) - Date.now()) / 1000);
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return Math.abs(seconds) < 10 ? "just now" : relative.format(seconds, "second");
}

// What is known of a device: its state if it can be asked, else what it was
// when it was last heard. A camera that says no state lacks nothing.
export function stateText({ kind, state, since, online, last_heard, last_known }) {
  const known = state === "unknown" && last_known ? last_known : { state, since };
  const before = `last known: ${known.state}`;
  if (known.state === "unknown") {
    return { word: kind === "lock" || kind === "light" ? "Unknown" : "", since: null, before: null };
  }
  // When it was last heard stands below.
  if (!online) return { word: capital(before), since: last_heard ? null : known.since, before: null };
  if (state === "unknown") return { word: "Unknown", since: null, before: `${before}, ${ago(known.since)}` };
  return { word: capital(state), since, before: null };
}

export function summaryText(devices) {
  const parts = [];
  for (const kind of Object.keys(KINDS)) {
    const all = devices.filter((device) => device.kind === kind);
    const here = all.filter((device) => device.online);
    const named = [];
    const add = (n, what) => n && named.push(`${n} ${what}`);
    const inState = (state) => here.filter((device) => device.state === state).length;
    if (kind === "lock") LOCK_STATES.forEach((state) => add(inState(state), state));
    if (kind === "light" && here.length) named.push(`${inState("on")} on`);
    add(all.length - here.length, "offline");
    const what = kind === "other" ? "other device" : kind;
    if (named.length) parts.push(`${count(all, what)}: ${named.join(", ")}`);
  }
  return parts.join(" · ");
}

export function outcomeText({ verb, outcome, detail }, kind) {
  const why = detail ? `: ${detail}` : "";
  const unsure = kind === "lock" ? "the door may be open" : "it may or may not have been done";
  const texts = {
    pending: `${WORDS[verb]}: waiting for the device…`,
    confirmed: `${WORDS[verb]}: confirmed`,
    failed: `${WORDS[verb]} failed${why}`,
    refused: `${WORDS[verb]} refused${why}`,
    offline: `${WORDS[verb]}: not sent, the device is offline`,
    superseded: `${WORDS[verb]}: given up for a newer command`,
    expired: `${WORDS[verb]}: not sent in time, nothing was done`,
    unconfirmed: `${WORDS[verb]}: no answer, ${unsure}`,
  };
  return texts[outcome] ?? `${WORDS[verb]}: ${outcome}${why}`;
}

// How all of them ended, the worst of it as the outcome, and why for each
// that did not do it.
export function allOutcome(commands) {
  const of = (outcome) => commands.filter((command) => command.outcome === outcome);
  const others = WRONG.flatMap(of);
  const reason = ({ device, outcome, detail }) => {
    if (outcome === "unconfirmed") return `${device}: no answer, it may be open`;
    if (outcome === "expired") return `${device}: not sent in time`;
    const why = outcome === "failed" || outcome === "refused" ? detail : null;
    return `${device}: ${outcome}${why ? `, ${why}` : ""}`;
  };
  const parts = [`${of("confirmed").length} of ${commands.length} confirmed`];
  if (of("pending").length) parts.push(`${of("pending").length} pending`);
  parts.push(...others.slice(0, MOST_NAMED).map(reason));
  if (others.length > MOST_NAMED) parts.push(`and ${others.length - MOST_NAMED} more`);
  const worst = others[0]?.outcome ?? "confirmed";
  const outcome = of("pending").length ? "pending" : worst;
  return { outcome, text: `Lock all: ${parts.join(" · ")}` };
}

export function strangerText({ device, received_at, stranger_at }) {
  const camera = device ?? "an app";
  const late = new Date(stranger_at) - new Date(received_at) >= 60_000;
  if (!late) return `${camera}, ${ago(received_at)}`;
  return `${camera} saw somebody ${ago(stranger_at)}; the picture was taken ${ago(received_at)}`;
}

export function unreachableText(since) {
  const time = since.toLocaleTimeString();
  return `The server has not been reachable since ${time}: what is shown below is old.`;
}
