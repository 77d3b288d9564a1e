// Who is signed in. The access token stands in this page's memory alone. The
// refresh token is in a cookie that no script can read, which goes to /oauth
// alone and with no request of another site: a script that got into the page
// could not carry the sign-in away, and what is left behind when the page is
// closed is nothing that a script finds. Nothing here knows the page.

// Renewed before it ends: a browser writes each 401 into its console.
const EARLY_S = 30;
// Tells the next page whether asking for a token makes sense; it is no secret.
const MARK = "latchlight-signed-in";
// Which page renews, where the browser has no locks; no secret either.
const LEASE = "latchlight-renews";
// Longer than a renewal takes.
const LEASE_MS = 15_000;
// Longer than it takes until each page sees what another wrote.
const SETTLE_MS = 250;

// Nobody is signed in, or not any more.
export class SignedOut extends Error {}

let token = null;
let renewAt = 0;
let scopes = new Set();
let renewing = null;

export const mayBeSignedIn = () => localStorage.getItem(MARK) !== null;
// After how many milliseconds a new token is due.
export const renewsIn = () => Math.max(0, renewAt - performance.now());
export const isAllowed = (scope) => scopes.has(scope);

async function grant(fields) {
  const body = new URLSearchParams({ ...fields, refresh_token_in: "cookie" });
  const response = await fetch("/oauth/token", { method: "POST", body });
  const answer = await response.json();
  if (!response.ok) {
    const error = answer.error === "invalid_grant" ? SignedOut : Error;
    throw new error(answer.error_description ?? answer.detail);
  }
  token = answer.access_token;
  renewAt = performance.now() + (answer.expires_in - EARLY_S) * 1000;
  scopes = new Set(answer.scope.split(" "));
  localStorage.setItem(MARK, "yes");
}

function forget() {
  token = null;
  scopes = new Set();
  localStorage.removeItem(MARK);
}

// A refresh token is good once: two pages of a browser must not show the same.
// Browsers have locks for pages that came by TLS or from this machine alone.
function alone(work) {
  return navigator.locks ? navigator.locks.request("latchlight-renew", work) : leased(work);
}

// The same by a lease in what the pages of a browser share: who has it, and
// until when, if that page is closed meanwhile. Of those who find it free at
// once, the last to write has it: that stands when they look again.
async function leased(work) {
  const me = crypto.getRandomValues(new Uint32Array(4)).join("-");
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const held = () => (localStorage.getItem(LEASE) ?? "").split(" ");
  const isMine = () => held()[0] === me;
  const isFree = () => !(held()[1] > Date.now());
  while (!isMine()) {
    if (isFree()) localStorage.setItem(LEASE, `${me} ${Date.now() + LEASE_MS}`);
    await sleep(SETTLE_MS);
  }
  try {
    return await work();
  } finally {
    if (isMine()) localStorage.removeItem(LEASE);
  }
}

async function renew() {
  if (!mayBeSignedIn()) throw new SignedOut();
  renewing ??= alone(() => grant({ grant_type: "refresh_token" })).finally(() => { renewing = null; });
  try {
    await renewing;
  } catch (error) {
    if (error instanceof SignedOut) forget();
    throw error;
  }
}

export function signIn(username, password) {
  return grant({ grant_type: "password", username, password });
}

// Back from the provider: the server has given the cookie, and says so by the
// fragment, which would else be there at the next reload, too.
export function comeBack() {
  if (location.hash !== "#signed-in") return;
  history.replaceState(null, "", location.pathname);
  localStorage.setItem(MARK, "yes");
}

// What the provider is called at which one can sign in, if there is one.
export async function providerName() {
  const response = await fetch("/oauth/oidc");
  return response.ok ? (await response.json()).button : null;
}

export async function signOut() {
  const body = new URLSearchParams({ refresh_token_in: "cookie" });
  const response = await fetch("/oauth/revoke", { method: "POST", body });
  if (!response.ok) throw new Error("the server did not end the sign-in");
  forget();
}

// As fetch(), as whoever is signed in.
export async function request(path, options = {}) {
  if (!token || performance.now() > renewAt) await renew();
  const ask = () => {
    const headers = { ...options.headers, Authorization: `Bearer ${token}` };
    return fetch(path, { ...options, headers });
  };
  const response = await ask();
  if (response.status !== 401) return response;
  await renew();
  return ask();
}
