// The board: asks the server every second what its devices say, and shows
// that and nothing else. A command shows its outcome; a state changes only
// when the device has said so. Text goes into the page by textContent alone.

const EVERY_MS = 1000;
const EVERY_MS_HIDDEN = 10_000;
const EVERY_MS_UNREACHABLE = 3000;
const ASK_AGAIN_MS = 400;
const CONFIRMED_SHOWN_MS = 6000;
const LOW_BATTERY = 20;

const KINDS = { lock: "Locks", light: "Lights", camera: "Cameras", other: "Others" };
const VERBS = { lock: ["lock", "unlock"], light: ["on", "off"] };
const WORDS = { lock: "Lock", unlock: "Unlock", on: "Switch on", off: "Switch off" };
const LABELS = { ...WORDS, on: "On", off: "Off" };
const TONES = {
  locked: "good", unlocked: "open", jammed: "bad", locking: "quiet", unlocking: "open",
  on: "lit", off: "quiet", unknown: "quiet",
};
const ICONS = {
  locked: "locked", unlocked: "unlocked", jammed: "jammed", locking: "moving",
  unlocking: "moving", on: "on", off: "off",
};

const byId = (id) => document.getElementById(id);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

// What the server gave last, by path, so that it may answer 304.
const seen = new Map();

async function get(path, accept = "application/json") {
  const known = seen.get(path);
  const headers = { Accept: accept };
  if (known) headers["If-None-Match"] = known.tag;
  const response = await fetch(path, { headers, cache: "no-store" });
  if (response.status === 304) return known.body;
  const body = await response.json();
  if (!response.ok) {
    seen.delete(path);
    const problem = new Error(body.detail ?? response.statusText);
    problem.status = response.status;
    throw problem;
  }
  const tag = response.headers.get("ETag");
  if (tag) seen.set(path, { tag, body });
  return body;
}

async function allDevices() {
  const devices = [];
  let cursor = null;
  do {
    const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const page = await get(`/api/v1/devices?limit=1000${after}`);
    devices.push(...page.devices);
    cursor = page.next_cursor;
  } while (cursor);
  return devices;
}

// --- time, in words

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60]];

function ago(time) {
  const seconds = Math.round((new Date(time) - Date.now()) / 1000);
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return Math.abs(seconds) < 10 ? "just now" : relative.format(seconds, "second");
}

// --- devices

const cards = new Map();
const sections = new Map();

function section(kind) {
  let found = sections.get(kind);
  if (!found) {
    found = byId("section-template").content.firstElementChild.cloneNode(true);
    found.querySelector("h2").textContent = KINDS[kind];
    sections.set(kind, found);
    // In the order of KINDS, whichever came first.
    const later = Object.keys(KINDS).slice(Object.keys(KINDS).indexOf(kind) + 1);
    const next = later.map((k) => sections.get(k)).find((s) => s);
    byId("devices").insertBefore(found, next ?? null);
  }
  return found;
}

function newCard(device) {
  const card = byId("card-template").content.firstElementChild.cloneNode(true);
  card.dataset.device = device.id;
  card.querySelector(".name").textContent = device.id;
  const verbs = card.querySelector(".verbs");
  verbs.setAttribute("aria-label", device.id);
  for (const verb of VERBS[device.kind] ?? []) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.verb = verb;
    button.textContent = LABELS[verb];
    button.setAttribute("aria-label", `${WORDS[verb]} ${device.id}`);
    if (verb === "lock") button.className = "primary";
    button.addEventListener("click", () => operate(device, verb, button, card));
    verbs.append(button);
  }
  return card;
}

function showDevice(card, device) {
  const { state } = device;
  card.dataset.state = state;
  card.dataset.tone = TONES[state] ?? "quiet";
  card.dataset.moving = state === "locking" || state === "unlocking";
  const kindIcon = device.kind === "camera" || device.kind === "other" ? device.kind : null;
  card.querySelector("use").setAttribute("href", `#icon-${ICONS[state] ?? kindIcon ?? "unknown"}`);
  card.querySelector(".word").textContent = capital(state);
  const since = card.querySelector(".since");
  since.textContent = state === "unknown" ? "" : ago(device.since);
  since.title = new Date(device.since).toLocaleString();
  const last = card.querySelector(".last-known");
  last.hidden = !device.last_known;
  if (device.last_known) {
    last.textContent = `last known: ${device.last_known.state}, ${ago(device.last_known.since)}`;
  }
  const online = card.querySelector(".online");
  online.classList.toggle("away", !device.online);
  const heard = device.last_heard ? `, last heard ${ago(device.last_heard)}` : "";
  online.textContent = device.online ? "Online" : `Offline${heard}`;
  const battery = card.querySelector(".battery");
  battery.hidden = device.battery === null;
  battery.classList.toggle("low", device.battery <= LOW_BATTERY);
  battery.textContent = `Battery ${device.battery} %`;
}

function showDevices(devices) {
  byId("devices").setAttribute("aria-busy", "false");
  const gone = new Set(cards.keys());
  for (const device of devices) {
    const key = `${device.kind} ${device.id}`;
    gone.delete(key);
    let card = cards.get(key);
    if (!card) {
      card = newCard(device);
      cards.set(key, card);
      // The list is sorted by id, and so are the cards.
      const list = section(device.kind).querySelector(".cards");
      const next = [...list.children].find((other) => other.dataset.device > device.id);
      list.insertBefore(card, next ?? null);
    }
    showDevice(card, device);
  }
  for (const key of gone) {
    const list = cards.get(key).parentElement;
    cards.get(key).remove();
    cards.delete(key);
    if (!list.children.length) {
      const kind = key.split(" ", 1)[0];
      sections.get(kind).remove();
      sections.delete(kind);
    }
  }
  showSummary(devices);
}

function showSummary(devices) {
  const locks = devices.filter((device) => device.kind === "lock");
  byId("lock-all").hidden = locks.length === 0;
  const count = (list, what) => (list.length === 1 ? `1 ${what}` : `${list.length} ${what}s`);
  const parts = [];
  const states = ["locked", "unlocked", "locking", "unlocking", "jammed", "unknown"];
  if (locks.length) {
    const each = states.map((s) => [s, locks.filter((lock) => lock.state === s).length]);
    const named = each.filter(([, n]) => n).map(([s, n]) => `${n} ${s}`);
    parts.push(`${count(locks, "lock")}: ${named.join(", ")}`);
  }
  const lights = devices.filter((device) => device.kind === "light");
  if (lights.length) {
    parts.push(`${count(lights, "light")}: ${lights.filter((l) => l.state === "on").length} on`);
  }
  const away = devices.filter((device) => !device.online).length;
  if (away) parts.push(`${away} offline`);
  byId("summary").textContent = parts.join(" · ");
  showEmpty(devices.length === 0);
}

function showEmpty(empty) {
  let note = document.querySelector(".empty");
  if (!empty) return note?.remove();
  if (note) return;
  note = document.createElement("p");
  note.className = "empty";
  note.append("No device has joined yet. To play some:", document.createElement("br"));
  const command = document.createElement("code");
  command.textContent = "latchlight simulate --locks 3 --lights 2 --cameras 1";
  note.append(command);
  byId("devices").append(note);
}

// --- commands

function outcomeText({ verb, outcome, detail }, kind) {
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

function say(place, outcome, text) {
  place.dataset.outcome = outcome;
  place.textContent = text;
  const saying = (place.saying = Symbol(text));
  if (outcome === "confirmed") {
    setTimeout(() => place.saying === saying && say(place, "", ""), CONFIRMED_SHOWN_MS);
  }
}

// Sends a command and follows it to its end, wherever that is shown.
async function follow(path, body, show) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  const response = await fetch(path, { method: "POST", headers, body });
  const answer = await response.json();
  if (!answer.devices) throw new Error(answer.detail ?? response.statusText);
  let commands = answer.devices;
  show(commands);
  while (commands.some((command) => command.outcome === "pending")) {
    await pause(ASK_AGAIN_MS);
    const now = (c) => (c.outcome === "pending" ? get(c.link).catch(() => c) : c);
    commands = await Promise.all(commands.map(now));
    commands.forEach((command) => seen.delete(command.link));
    show(commands);
  }
  return commands;
}

async function whileBusy(button, place, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    const unreachable = error instanceof TypeError;
    say(place, "problem", unreachable ? "The server gave no answer: look at the state" : error.message);
  } finally {
    button.removeAttribute("aria-busy");
    poll.soon();
  }
}

function operate(device, verb, button, card) {
  const place = card.querySelector(".outcome");
  return whileBusy(button, place, async () => {
    // Where a newer command is shown, an older one has no more to say.
    const mine = (place.following = Symbol(verb));
    say(place, "pending", outcomeText({ verb, outcome: "pending" }, device.kind));
    const path = `/api/v1/devices/${encodeURIComponent(device.id)}/commands?wait=1`;
    await follow(path, JSON.stringify({ verb }), ([command]) => {
      if (place.following !== mine) return;
      say(place, command.outcome, outcomeText(command, device.kind));
    });
  });
}

byId("lock-all").addEventListener("click", () => {
  const place = byId("all-outcome");
  return whileBusy(byId("lock-all"), place, async () => {
    say(place, "pending", "Lock all: waiting for the devices…");
    await follow("/lock?kind=lock&wait=1", null, (commands) => {
      const of = (outcome) => commands.filter((command) => command.outcome === outcome);
      const others = commands.filter((c) => c.outcome !== "confirmed" && c.outcome !== "pending");
      const parts = [`${of("confirmed").length} of ${commands.length} confirmed`];
      if (of("pending").length) parts.push(`${of("pending").length} pending`);
      for (const command of others) parts.push(`${command.device}: ${command.outcome}`);
      const worst = others.length ? others[0].outcome : "confirmed";
      say(place, of("pending").length ? "pending" : worst, `Lock all: ${parts.join(" · ")}`);
    });
  });
});

// --- the newest stranger picture

async function showStranger() {
  let picture = null;
  try {
    picture = await get("/get_pic");
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  const link = byId("stranger-link");
  link.hidden = !picture;
  if (!picture) {
    byId("stranger-text").textContent = "Nobody has been seen yet.";
    return;
  }
  const camera = picture.device ?? "an app";
  byId("stranger-text").textContent = `${camera}, ${ago(picture.stranger_at)}`;
  byId("stranger-text").title = new Date(picture.stranger_at).toLocaleString();
  if (link.getAttribute("href") !== picture.link) {
    link.href = picture.link;
    byId("stranger-picture").src = picture.link;
    byId("stranger-picture").alt = `What ${camera} saw`;
  }
}

// --- asking, again and again

function showConnection(connection, text) {
  document.body.dataset.connection = connection;
  byId("connection").dataset.connection = connection;
  if (byId("connection").textContent !== text) byId("connection").textContent = text;
}

let lostAt = null;

function showReachable() {
  lostAt = null;
  byId("unreachable").hidden = true;
  showConnection("live", "Live");
}

function showUnreachable() {
  if (lostAt) return;
  lostAt = new Date();
  const time = lostAt.toLocaleTimeString();
  byId("unreachable").textContent =
    `The server cannot be reached since ${time}: what is shown below is old.`;
  byId("unreachable").hidden = false;
  showConnection("lost", "Unreachable");
}

const poll = {
  timer: null,
  running: false,
  async now() {
    if (this.running) return;
    this.running = true;
    clearTimeout(this.timer);
    let next = document.hidden ? EVERY_MS_HIDDEN : EVERY_MS;
    try {
      showDevices(await allDevices());
      await showStranger();
      showReachable();
    } catch {
      showUnreachable();
      next = EVERY_MS_UNREACHABLE;
    }
    this.running = false;
    this.timer = setTimeout(() => this.now(), next);
  },
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), 50);
  },
};

document.addEventListener("visibilitychange", () => document.hidden || poll.soon());
poll.now();
