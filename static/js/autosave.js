// Keeps what an editor types: some seconds after the last key, and when they leave.
// Without JavaScript the button "Keep the draft" does the same.

const form = document.querySelector("[data-autosave]");
const state = document.querySelector("[data-autosave-state]");
const PAUSE_MS = 3000;
const SIGNED_OUT =
  "Not kept: you are signed out. Sign in in another window, then press “Keep the draft”. Your text is still here.";
const AWAY = "Not kept: the site can’t be reached. Your text is still here.";
let timer;
let changed = false;
// One request at a time: each tells the version that the next one builds on.
let running = null;

function filled() {
  const data = new URLSearchParams(new FormData(form));
  data.set("_autosave", "1");
  return data;
}

async function send() {
  changed = false;
  try {
    const answer = await fetch(form.action, { method: "POST", body: filled() });
    if (answer.redirected || answer.status === 403) {
      changed = true;
      state.textContent = SIGNED_OUT;
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

form.addEventListener("input", () => {
  changed = true;
  clearTimeout(timer);
  timer = setTimeout(keep, PAUSE_MS);
});
form.addEventListener("submit", (event) => {
  clearTimeout(timer);
  if (running) {
    const button = event.submitter;
    event.preventDefault();
    running.then(() => form.requestSubmit(button));
  }
});
document.addEventListener("visibilitychange", () => {
  if (changed && document.visibilityState === "hidden") {
    keep();
  }
});
