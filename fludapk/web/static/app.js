// Answers while one types. Without this script the forms work by their buttons.
"use strict";

const form = document.getElementById("asked");
const answer = document.getElementById("answer");
const said = document.getElementById("said");
let running = null;
let timer = 0;

function value(name) {
  const field = form.elements[name];
  return field ? field.value.trim() : "";
}

function isComplete() {
  for (const field of form.querySelectorAll("[data-needed]")) {
    if (!field.value.trim()) return false;
  }
  const plans = [...form.querySelectorAll("[data-plan]")];
  if (plans.length) return plans.filter((field) => field.value.trim()).length > 1;
  const planned = value("regimen") || (value("dose") && value("days"));
  if (Boolean(value("window_low")) !== Boolean(value("window_high"))) return false;
  const levels = [...form.querySelectorAll("[data-level]")].map(
    (row) => [...row.querySelectorAll("[type=text]")].filter((field) => field.value.trim()).length,
  );
  if (levels.length) return Boolean(planned && levels.includes(2) && !levels.includes(1));
  if (!form.elements.target) return Boolean(planned);
  const goal = value("target") || value("auc") || (value("window_low") && value("window_high"));
  return Boolean(goal && (planned || value("days")));
}

function mark(names) {
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  for (const name of names) {
    const field = document.getElementById(name);
    if (field && form.contains(field)) field.setAttribute("aria-invalid", "true");
  }
}

function show(html) {
  answer.innerHTML = html;
  const sheet = answer.querySelector("[data-said]");
  said.textContent = sheet ? sheet.dataset.said : answer.textContent.trim();
  mark(sheet && sheet.dataset.invalid ? sheet.dataset.invalid.split(" ") : []);
}

function tell(text) {
  const line = document.createElement("p");
  line.textContent = text;
  const box = document.createElement("div");
  box.className = "empty";
  box.append(line);
  answer.replaceChildren(box);
  said.textContent = text;
  mark([]);
}

async function ask() {
  clearTimeout(timer);
  if (running) running.abort();
  const mine = new AbortController();
  running = mine;
  answer.setAttribute("aria-busy", "true");
  const isList = form.hasAttribute("data-list");
  const data = new FormData(form);
  try {
    const response = await fetch(form.getAttribute("action"), {
      method: "POST",
      body: isList ? data : new URLSearchParams(data),
      headers: { "X-Part": "answer" },
      signal: mine.signal,
    });
    if (response.ok) {
      show(await response.text());
    } else {
      const problem = await response.json();
      tell(`${problem.title}: ${problem.detail}`);
    }
  } catch (error) {
    if (mine.signal.aborted) return;
    tell("No answer from the server: is fludapk serve still running?");
  }
  if (running === mine) {
    running = null;
    answer.removeAttribute("aria-busy");
  }
}

function edited() {
  clearTimeout(timer);
  if (isComplete()) {
    answer.setAttribute("aria-busy", "true"); // what is shown is no longer what is typed
    timer = setTimeout(ask, 200);
    return;
  }
  if (running) running.abort();
  running = null;
  answer.removeAttribute("aria-busy");
  if (!answer.querySelector(".empty")) {
    tell("Something is still missing: fill in the rest, and the answer appears here.");
  }
}

function fill(text) {
  for (const [name, one] of new URLSearchParams(text)) {
    const field = form.elements[name];
    if (field && name !== "token" && field.type !== "file") {
      if (field.type === "checkbox") field.checked = true;
      else field.value = one;
    }
  }
  for (const part of form.querySelectorAll("details")) {
    const filled = [...part.querySelectorAll("input[type=text], select, textarea")].some(
      (field) => field.value && !field.name.endsWith("_unit"),
    );
    if (filled) part.open = true;
  }
}

async function copyLink(button) {
  const state = new URLSearchParams();
  for (const [name, one] of new FormData(form)) {
    if (one && name !== "token" && typeof one === "string") state.append(name, one);
  }
  const link = `${location.origin}${location.pathname}#${state}`;
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(link);
    button.textContent = "Copied: the link holds what was typed";
  } catch (error) {
    location.hash = state; // no clipboard: the address bar has it
    button.textContent = "The link is in the address bar";
  }
  said.textContent = button.textContent;
  setTimeout(() => (button.textContent = before), 4000);
}

if (form) {
  for (const button of form.querySelectorAll("[data-print], [data-copy]")) button.hidden = false;
  if (form.hasAttribute("data-live")) {
    form.addEventListener("input", edited);
    answer.addEventListener("input", (event) => {
      if (event.target.form === form) edited(); // a box beside the answer
    });
    form.addEventListener("reset", () => setTimeout(edited));
  }
  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button && button.hasAttribute("formaction")) return;
    event.preventDefault();
    ask().then(() => answer.focus());
  });
  form.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) print();
    const copy = event.target.closest("[data-copy]");
    if (copy) copyLink(copy);
  });
  answer.addEventListener("click", (event) => {
    const link = event.target.closest("[data-to]");
    const field = link && document.getElementById(link.dataset.to);
    if (field) {
      event.preventDefault();
      for (let part = field.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
      field.focus();
    }
  });
  if (location.hash.includes("=")) {
    fill(location.hash.slice(1));
    history.replaceState(null, "", location.pathname); // patients do not stay in the history
    edited();
  }
}
