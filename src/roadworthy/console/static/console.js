// What a browser adds to the pages: they refresh, and times can be local. All works without it.
"use strict";

const EVERY_MS = 5000;
const KEPT = "roadworthy-times";

// A page does not change under somebody's hands: while text or a box is selected, or a
// button of the part that changes has the focus, nothing is fetched.
function isBusy() {
  const live = document.getElementById("live");
  const focused = live && live.contains(document.activeElement);
  const chosen = live && live.querySelector("details[open], input:checked");
  return document.hidden || focused || chosen || String(getSelection());
}

function refresh() {
  if (!isBusy()) htmx.trigger(document.body, "refresh");
}

function showTimes() {
  const local = localStorage.getItem(KEPT) === "local";
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const utc = at.toISOString().slice(0, 19).replace("T", " ") + " UTC";
    time.title = local ? at.toLocaleString(undefined, { timeZoneName: "short" }) : utc;
  }
  const button = document.getElementById("times");
  if (!button) return;
  button.hidden = false;
  button.textContent = local ? "Times: local" : "Times: UTC";
}

function changeTimes() {
  localStorage.setItem(KEPT, localStorage.getItem(KEPT) === "local" ? "utc" : "local");
  showTimes();
}

function onKey(event) {
  const typing = event.target.closest("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const first = document.querySelector("form.filters input, form.filters select");
    if (first) {
      event.preventDefault();
      first.focus();
    }
  }
  if (event.key === "r") htmx.trigger(document.body, "refresh");
}

document.addEventListener("DOMContentLoaded", () => {
  showTimes();
  document.getElementById("times")?.addEventListener("click", changeTimes);
  document.addEventListener("keydown", onKey);
  document.body.addEventListener("htmx:afterSwap", showTimes);
  setInterval(refresh, EVERY_MS);
});
