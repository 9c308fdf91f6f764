// Keeps what an editor types: some seconds after the last key, and when they leave.
// Without JavaScript the button "Keep the draft" does the same.

const form = document.querySelector("[data-autosave]");
const state = document.querySelector("[data-autosave-state]");
const PAUSE_MS = 3000;
const SIGNED_OUT =
  "You are signed out, so this is not kept. Copy your text, or sign in in another window and press “Keep the draft”. Your text is still here.";
const AWAY = "Not kept: the site can’t be reached. Your text is still here.";
const GONE =
  "Not kept: this draft was saved or discarded in another window. Your text is still here; copy it before you leave.";
const FAILED =
  "Not kept: the site couldn’t take it just now. Your text is still here; press “Keep the draft” in a minute.";
let timer;
let changed = false;
// One request at a time: each tells the version that the next one builds on.
let running = null;
let signedOut = false;

function filled() {
  const data = new URLSearchParams(new FormData(form));
  data.set("_autosave", "1");
  return data;
}

function unkept(answer) {
  return [404, 410].includes(answer.status) ? GONE : FAILED;
}

async function send() {
  changed = false;
  try {
    const answer = await fetch(form.action, { method: "POST", body: filled() });
    if (answer.redirected || answer.status === 403) {
      changed = true;
      signedOut = true;
      state.textContent = SIGNED_OUT;
      return;
    }
    if (!answer.headers.get("Content-Type")?.startsWith("application/json")) {
      changed = true;
      state.textContent = unkept(answer);
      return;
    }
    const told = await answer.json();
    if (answer.ok) {
      form.elements.version.value = told.version;
      state.textContent = `Kept at ${told.kept_at}.`;
    } else {
      state.textContent = `Not kept: ${told.problems.join(" ")}`;
    }
  } catch {
    changed = true;
    state.textContent = AWAY;
  }
}

function keep() {
  clearTimeout(timer);
  running = (running ?? Promise.resolve()).then(send).finally(() => {
    running = null;
  });
}

function keepSoon() {
  changed = true;
  clearTimeout(timer);
  timer = setTimeout(keep, PAUSE_MS);
}

form.addEventListener("input", keepSoon);
// A quick editor types before this file has come, and some browsers fill in again what
// was typed before a reload: neither fires an event that is heard here.
if ([...form.elements].some((field) => field.value !== (field.defaultValue ?? field.value))) {
  keepSoon();
}
// Signing in again makes a new token; with the old one the text would be refused and
// this page be gone.
async function signInAgain() {
  try {
    const answer = await fetch(form.action);
    if (!answer.ok || answer.redirected) {
      const isSignedOut = answer.redirected || answer.status === 403;
      state.textContent = isSignedOut ? SIGNED_OUT : unkept(answer);
      return false;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const token = page.querySelector("[data-autosave] [name=csrfmiddlewaretoken]");
    form.elements.csrfmiddlewaretoken.value = token.value;
    signedOut = false;
    return true;
  } catch {
    state.textContent = AWAY;
    return false;
  }
}

form.addEventListener("submit", (event) => {
  clearTimeout(timer);
  const button = event.submitter;
  if (running) {
    event.preventDefault();
    running.then(() => form.requestSubmit(button));
  } else if (signedOut) {
    event.preventDefault();
    signInAgain().then((again) => again && form.requestSubmit(button));
  }
});
document.addEventListener("visibilitychange", () => {
  if (changed && document.visibilityState === "hidden") {
    keep();
  }
});
