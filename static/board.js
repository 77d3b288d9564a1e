// The board: asks the server what its devices say whenever it tells that
// something happened, and every second while it cannot tell; shows that and
// nothing else. A command shows its outcome; a state changes only
// when the device has said so. Text goes into the page by textContent alone.

import { isListening, leave, listen } from "./live.js";
import {
  SignedOut, comeBack, isAllowed, mayBeSignedIn, providerName, request, signIn, signOut,
} from "./session.js";
import {
  KINDS, LABELS, VERBS, WORDS, ago, allOutcome, capital, outcomeText, stateText, strangerText,
  summaryText, unreachableText,
} from "./words.js";

const EVERY_MS = 1000;
// What is no event, such as a battery's charge, comes so often.
const EVERY_MS_FOLLOWING = 5000;
const EVERY_MS_HIDDEN = 10_000;
const EVERY_MS_UNREACHABLE = 3000;
const ASK_AGAIN_MS = 400;
const CONFIRMED_SHOWN_MS = 6000;
// What a device says so soon after a command ended belongs to that end.
const SAME_BREATH_MS = 3000;
const LOW_BATTERY = 20;

const TONES = {
  locked: "good", unlocked: "open", jammed: "bad", locking: "quiet", unlocking: "open",
  on: "lit", off: "quiet", unknown: "quiet",
};
const ICONS = {
  locked: "locked", unlocked: "unlocked", jammed: "jammed", locking: "moving",
  unlocking: "moving", on: "on", off: "off",
};
const WANTED = { lock: "locked", unlock: "unlocked", on: "on", off: "off" };

const byId = (id) => document.getElementById(id);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What the server gave last, by path, so that it may answer 304.
const seen = new Map();

async function get(path) {
  const known = seen.get(path);
  const headers = { Accept: "application/json" };
  if (known) headers["If-None-Match"] = known.tag;
  const response = await request(path, { headers, cache: "no-store" });
  if (response.status === 304) return known.body;
  const body = await response.json();
  if (!response.ok) {
    seen.delete(path);
    throw new Error(body.detail ?? response.statusText);
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
  const { state, online } = device;
  card.device = device;
  card.dataset.state = state;
  // Nobody knows what an absent device is by now: no colour, no picture of it.
  card.dataset.online = online;
  card.dataset.tone = (online && TONES[state]) || "quiet";
  card.dataset.moving = online && (state === "locking" || state === "unlocking");
  const kindIcon = device.kind === "camera" || device.kind === "other" ? device.kind : null;
  const icon = (online && ICONS[state]) || kindIcon || "unknown";
  card.querySelector("use").setAttribute("href", `#icon-${icon}`);
  const text = stateText(device);
  card.querySelector(".state").hidden = !text.word;
  card.querySelector(".word").textContent = text.word;
  const since = card.querySelector(".since");
  since.textContent = text.since ? ago(text.since) : "";
  since.title = text.since ? new Date(text.since).toLocaleString() : "";
  const before = card.querySelector(".last-known");
  before.hidden = !text.before;
  before.textContent = text.before ?? "";
  const presence = card.querySelector(".online");
  presence.classList.toggle("away", !online);
  const heard = device.last_heard ? `, last heard ${ago(device.last_heard)}` : "";
  presence.textContent = online ? "Online" : `Offline${heard}`;
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
  byId("lock-all").hidden = !devices.some((device) => device.kind === "lock");
  byId("summary").textContent = summaryText(devices);
  if (devices.length) document.querySelector(".empty")?.remove();
  else if (!document.querySelector(".empty")) showEmpty();
}

function showEmpty() {
  const note = document.createElement("p");
  note.className = "empty";
  note.append("No device has joined yet.");
  byId("devices").append(note);
  get("/api/v1/broker").then(({ embedded }) => {
    // Another broker's operator lets devices in.
    if (!embedded) return;
    note.append(" One joins by the first of these commands, and the second plays some; on the server's machine, in the folder of its config.json:");
    for (const words of ["latchlight pair", "latchlight simulate --locks 3 --lights 2"]) {
      const command = document.createElement("code");
      command.textContent = words;
      note.append(document.createElement("br"), command);
    }
  }, () => {});
}

let asked = 0;
let shown = 0;

// Asks for the devices and shows them, unless a later answer was faster.
async function refresh() {
  const mine = ++asked;
  const askedAt = performance.now();
  const devices = await allDevices();
  if (mine < shown || poll.stopped) return;
  shown = mine;
  showDevices(devices);
  showNotes(askedAt);
}

// --- notes: what became of commands

const cardOf = (id) => [...cards.values()].find((card) => card.dataset.device === id);

// Shows a note; `commands` are what it is about, where there are some.
function say(place, outcome, text, commands = []) {
  const ended = commands.map((command) => command.ended_at).filter((at) => at).sort();
  const at = outcome === "pending" ? null : ended.at(-1) ?? new Date().toISOString();
  const note = { outcome, commands, at, shownAt: performance.now() };
  place.note = text ? note : null;
  place.hidden = !text;
  place.dataset.outcome = outcome;
  place.querySelector(".text").textContent = text;
  showTime(place);
  if (outcome === "confirmed") {
    setTimeout(() => place.note === note && say(place, "", ""), CONFIRMED_SHOWN_MS);
  }
}

function showTime(place) {
  const time = place.querySelector("time");
  const at = place.note?.at;
  time.hidden = !at;
  if (!at) return;
  time.textContent = ago(at);
  time.title = new Date(at).toLocaleString();
}

// Takes the notes away than which something newer is known; what was asked
// before a note was made is not newer.
function showNotes(askedAt) {
  for (const place of document.querySelectorAll(".outcome")) {
    if (!place.note) continue;
    const { commands, outcome, shownAt } = place.note;
    const isOld = outcome !== "pending" && shownAt < askedAt && commands.some(isOutdated);
    if (isOld) say(place, "", "");
    else showTime(place);
  }
}

function isOutdated({ device: id, verb, outcome, ended_at }) {
  const device = cardOf(id)?.device;
  if (!device) return true;
  const after = (time) => (time ? new Date(time) - new Date(ended_at) : -Infinity);
  const changed = after(device.since);
  const isDone = device.state === WANTED[verb];
  if (outcome === "confirmed") return !isDone && changed > 0;
  if (isDone && changed > 0) return true;
  // Why a device did not do it stays true when it says the same state again.
  if (outcome === "failed" || outcome === "refused") return changed > SAME_BREATH_MS;
  if (outcome === "unconfirmed") return after(device.last_heard) > SAME_BREATH_MS;
  return (outcome === "offline" && device.online) || after(device.last_heard) > 0;
}

// Another command begins: what is said of earlier ones to these devices is old.
function forget(devices) {
  for (const place of document.querySelectorAll(".outcome")) {
    const { outcome, commands } = place.note ?? {};
    const isAbout = commands?.some((command) => devices.includes(command.device));
    if (isAbout && outcome !== "pending") say(place, "", "");
  }
}

// --- commands

// Sends a command and follows it to its end, wherever that is shown: not
// before the state that the device said with it.
async function follow(path, body, show) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  const response = await request(path, { method: "POST", headers, body });
  const answer = await response.json();
  if (!answer.devices) throw new Error(answer.detail ?? response.statusText);
  let commands = answer.devices;
  const showAll = async () => {
    if (commands.some((command) => command.outcome !== "pending")) await refresh().catch(() => {});
    show(commands);
  };
  await showAll();
  while (commands.some((command) => command.outcome === "pending")) {
    await pause(ASK_AGAIN_MS);
    const asBefore = (command) => (error) => {
      if (error instanceof SignedOut) throw error;
      return command;
    };
    const now = (c) => (c.outcome === "pending" ? get(c.link).catch(asBefore(c)) : c);
    commands = await Promise.all(commands.map(now));
    commands.forEach((command) => seen.delete(command.link));
    await showAll();
  }
}

async function whileBusy(button, place, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    if (error instanceof SignedOut) return showSignIn();
    const unreachable = error instanceof TypeError;
    say(place, "problem", unreachable ? "The server gave no answer: look at the state" : error.message);
  } finally {
    button.removeAttribute("aria-busy");
    poll.soon();
  }
}

// Gives what shows a command on its device's card, as long as no newer one is
// shown there.
function notesOn(ids) {
  const mine = Symbol("command");
  for (const id of ids) cardOf(id).querySelector(".outcome").following = mine;
  return (command) => {
    const card = cardOf(command.device);
    const place = card?.querySelector(".outcome");
    if (place?.following !== mine) return;
    if (command.outcome !== "pending") place.following = null;
    say(place, command.outcome, outcomeText(command, card.device.kind), [command]);
  };
}

function operate(device, verb, button, card) {
  const place = card.querySelector(".outcome");
  return whileBusy(button, place, async () => {
    forget([device.id]);
    const note = notesOn([device.id]);
    say(place, "pending", outcomeText({ verb, outcome: "pending" }, device.kind));
    const path = `/api/v1/devices/${encodeURIComponent(device.id)}/commands?wait=1`;
    await follow(path, JSON.stringify({ verb }), (commands) => commands.forEach(note));
  });
}

byId("lock-all").addEventListener("click", () => {
  const place = byId("all-outcome");
  return whileBusy(byId("lock-all"), place, async () => {
    const locks = [...cards.values()].map((card) => card.device).filter((d) => d.kind === "lock");
    const ids = locks.map((lock) => lock.id);
    forget(ids);
    const note = notesOn(ids);
    say(place, "pending", "Lock all: waiting for the devices…");
    await follow("/lock?kind=lock&wait=1", null, (commands) => {
      const { outcome, text } = allOutcome(commands);
      say(place, outcome, text, commands);
      commands.forEach(note);
    });
  });
});

// --- the newest stranger picture

// A picture is fetched as whoever is signed in, which a link would not be.
let picture = { link: null, url: null };

async function showPicture(link) {
  if (picture.link === link) return;
  const response = link && await request(link);
  if (link && !response.ok) throw new Error(response.statusText);
  const url = link && URL.createObjectURL(await response.blob());
  if (picture.url) URL.revokeObjectURL(picture.url);
  picture = { link, url };
  for (const [id, name] of [["stranger-link", "href"], ["stranger-picture", "src"]]) {
    if (url) byId(id).setAttribute(name, url);
    else byId(id).removeAttribute(name);
  }
}

async function showStranger() {
  document.querySelector(".stranger").hidden = !isAllowed("pictures:read");
  if (!isAllowed("pictures:read")) return;
  const { pictures: [newest] } = await get("/api/v1/pictures?strangers=true&limit=1");
  const link = byId("stranger-link");
  const text = byId("stranger-text");
  text.textContent = newest ? strangerText(newest) : "Nobody has been seen yet.";
  text.title = newest ? `taken ${new Date(newest.received_at).toLocaleString()}` : "";
  byId("stranger-picture").alt = newest ? `What ${newest.device ?? "an app"} saw` : "";
  await showPicture(newest?.link ?? null);
  link.hidden = !newest;
}

// --- who is signed in

function showBoard() {
  document.body.dataset.signedIn = true;
  byId("sign-in").hidden = true;
  byId("board").hidden = false;
  byId("sign-out").hidden = false;
}

// Nothing of the house is left on the page.
function showSignIn() {
  poll.stop();
  leave({ forget: true });
  seen.clear();
  showDevices([]);
  document.querySelector(".empty")?.remove();
  showPicture(null);
  for (const place of document.querySelectorAll(".outcome")) say(place, "", "");
  lostAt = null;
  byId("unreachable").hidden = true;
  byId("board").hidden = true;
  byId("sign-out").hidden = true;
  byId("sign-in").hidden = false;
  delete document.body.dataset.signedIn;
  showConnection("signed-out", "Signed out");
  byId("username").focus();
  showProvider();
}

async function showProvider() {
  const name = await providerName().catch(() => null);
  const link = byId("sign-in-provider");
  link.hidden = !name;
  if (name) link.textContent = `Sign in with ${name}`;
}

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { username, password } = event.target.elements;
  const button = event.target.querySelector("button");
  const problem = byId("sign-in-problem");
  problem.hidden = true;
  button.disabled = true;
  try {
    await signIn(username.value, password.value);
    event.target.reset();
    showBoard();
    poll.begin();
  } catch (error) {
    const unreachable = error instanceof TypeError;
    problem.textContent = unreachable ? "The server gave no answer." : `${capital(error.message)}.`;
    problem.hidden = false;
    password.select();
  } finally {
    button.disabled = false;
  }
});

byId("sign-out").addEventListener("click", async () => {
  try {
    await signOut();
    showSignIn();
  } catch {
    showUnreachable();
  }
});

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
  byId("unreachable").textContent = unreachableText(lostAt);
  byId("unreachable").hidden = false;
  showConnection("lost", "Unreachable");
}

function pace() {
  if (document.hidden) return EVERY_MS_HIDDEN;
  return isListening() ? EVERY_MS_FOLLOWING : EVERY_MS;
}

const poll = {
  timer: null,
  running: false,
  stopped: false,
  isDue: false,
  again: false,
  async now() {
    this.isDue = false;
    // What is being asked may be older than what has happened.
    this.again = this.running;
    if (this.running || this.stopped) return;
    this.running = true;
    clearTimeout(this.timer);
    let next = null;
    try {
      await refresh();
      await showStranger();
      if (!this.stopped) {
        showBoard();
        showReachable();
        // A browser has few connections to a server: hidden pages leave them.
        if (!document.hidden) listen(() => poll.soon());
      }
    } catch (error) {
      if (error instanceof SignedOut) showSignIn();
      else if (!this.stopped) showUnreachable();
      next = EVERY_MS_UNREACHABLE;
    }
    this.running = false;
    document.body.dataset.follows = isListening() ? "stream" : "poll";
    if (this.stopped || this.isDue) return;
    if (this.again) this.soon();
    else this.timer = setTimeout(() => this.now(), next ?? pace());
  },
  stop() {
    this.stopped = true;
    this.isDue = false;
    clearTimeout(this.timer);
  },
  begin() {
    this.stopped = false;
    this.soon();
  },
  soon() {
    if (this.stopped || this.isDue) return;
    this.isDue = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), 50);
  },
};

document.addEventListener("visibilitychange", () => {
  if (document.hidden) leave();
  else poll.soon();
});
comeBack();
if (mayBeSignedIn()) poll.now();
else showSignIn();
