// Keeps what an editor types: some seconds after the last key, and when they leave.
// Without JavaScript the button "Keep the draft" does the same.

const form = document.querySelector("[data-autosave]");
const state = document.querySelector("[data-autosave-state]");
const PAUSE_MS = 3000;
let timer;
let changed = false;

function filled() {
  const data = new URLSearchParams(new FormData(form));
  data.set("_autosave", "1");
  return data;
}

async function keep() {
  changed = false;
  try {
    const answer = await fetch(form.action, { method: "POST", body: filled() });
    const told = await answer.json();
    state.textContent = answer.ok
      ? `Kept at ${told.kept_at}.`
      : `Not kept: ${told.problems.join(" ")}`;
  } catch {
    changed = true;
    state.textContent = "Not kept: the site can’t be reached. Your text is still here.";
  }
}

form.addEventListener("input", () => {
  changed = true;
  clearTimeout(timer);
  timer = setTimeout(keep, PAUSE_MS);
});
form.addEventListener("submit", () => clearTimeout(timer));
document.addEventListener("visibilitychange", () => {
  if (changed && document.visibilityState === "hidden") {
    clearTimeout(timer);
    keep();
  }
});
