// Answers while one types. Without this script the forms work by their buttons.
"use strict";

const form = document.getElementById("asked");
const answer = document.getElementById("answer");
const said = document.getElementById("said");
const blank = answer && answer.innerHTML;
const words = JSON.parse(document.body.dataset.words); // in the language of the page
const PAUSE_MS = 200;
const LOOK_UP_MS = 1200; // a number that is being typed is not yet wrong
const NOT_LINKED = ["first", "case"];
const NOT_KEPT = ["token", "carry"];
let running = null;
let timer = 0;
let held = null;
let holding = 0;

// ---------------------------------------------------------------- the case

const isCase = Boolean(form && form.hasAttribute("data-case"));

function filled() {
  const state = {};
  for (const [name, text] of new FormData(form)) {
    if (text && typeof text === "string" && !NOT_KEPT.includes(name)) state[name] = text;
  }
  return state;
}

// The case is a property of this entry of the tab's history: no storage, and not in the address.
function kept() {
  return (history.state && history.state.form) || {};
}

function keep() {
  if (!isCase) return;
  const others = Object.entries(kept()).filter(([name]) => !form.elements[name]);
  history.replaceState({ form: { ...Object.fromEntries(others), ...filled() } }, "");
}

function go(path) {
  keep();
  history.pushState({ form: kept() }, "", path);
  location.reload();
}

function fill(state) {
  for (const [name, text] of Object.entries(state)) {
    const field = form.elements[name];
    if (!field || NOT_KEPT.includes(name) || field.type === "file") continue;
    if (field.type === "checkbox") field.checked = true;
    else field.value = text;
  }
  for (const part of form.querySelectorAll("details")) {
    const inside = [...part.querySelectorAll("input[type=text], select, textarea")];
    if (inside.some((field) => field.value && !field.name.endsWith("_unit"))) part.open = true;
  }
  second();
  planned();
}

function empty() {
  for (const field of form.elements) {
    if (field.type === "radio") field.checked = field.defaultChecked;
    else if (field.type === "checkbox") field.checked = false;
    else if (field.tagName === "SELECT") field.selectedIndex = 0;
    else if (field.name && field.name !== "token") field.value = "";
  }
  history.replaceState({ form: {} }, "");
}

// ---------------------------------------------------------------- the answer

function mark(names) {
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  for (const name of names) {
    const field = document.getElementById(name);
    if (field && form.contains(field)) field.setAttribute("aria-invalid", "true");
  }
}

function show(html) {
  held = null;
  answer.innerHTML = html;
  const sheet = answer.querySelector("[data-said]");
  said.textContent = sheet ? sheet.dataset.said : "";
  mark(sheet && sheet.dataset.invalid ? sheet.dataset.invalid.split(" ") : []);
  answer.removeAttribute("aria-busy");
  ready();
}

function tell(text) {
  const box = document.createElement("div");
  box.className = "empty";
  box.textContent = text;
  show(box.outerHTML);
  said.textContent = text;
}

function isTyping(html) {
  const field = document.activeElement;
  if (!field || field.form !== form || field.type !== "text") return false;
  const refused = new RegExp(`data-invalid="[^"]*\\b${field.id}\\b`);
  return refused.test(html);
}

function release() {
  clearTimeout(holding);
  if (held !== null) show(held);
}

async function ask(button) {
  clearTimeout(timer);
  clearTimeout(holding);
  held = null;
  if (running) running.abort();
  const mine = new AbortController();
  running = mine;
  answer.setAttribute("aria-busy", "true");
  const isList = form.hasAttribute("data-list");
  const data = new FormData(form);
  try {
    const path = button && button !== form && button.getAttribute("formaction");
    const response = await fetch(path || form.getAttribute("action"), {
      method: "POST",
      body: isList ? data : new URLSearchParams(data),
      headers: { "X-Part": "answer" },
      signal: mine.signal,
    });
    if (response.ok) {
      const html = await response.text();
      if (mine !== running) return;
      if (!button && isTyping(html)) {
        held = html;
        holding = setTimeout(release, LOOK_UP_MS);
      } else show(html);
    } else {
      const problem = await response.json();
      tell(`${problem.title}: ${problem.detail}`);
    }
  } catch (error) {
    if (mine.signal.aborted) return;
    tell(words.silent);
  }
  if (running === mine) running = null;
}

function isEmpty() {
  return ![...form.querySelectorAll("input[type=text], textarea, select")].some(
    (field) => field.value && !field.name.endsWith("_unit"),
  );
}

function edited() {
  clearTimeout(timer);
  clearTimeout(holding);
  keep();
  if (!form.hasAttribute("data-live")) return;
  if (isEmpty()) {
    if (running) running.abort();
    running = null;
    show(blank);
    return;
  }
  answer.setAttribute("aria-busy", "true"); // what is shown is no longer what is typed
  timer = setTimeout(ask, PAUSE_MS);
}

// ---------------------------------------------------------------- copies, prints, entries

async function copied(button, text, done) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = done;
  } catch (error) {
    button.textContent = words.noClipboard;
  }
  said.textContent = button.textContent;
  setTimeout(() => (button.textContent = before), 4000);
}

function second() {
  const first = form.elements.first;
  const note = document.getElementById("second");
  if (note) note.hidden = !first || !first.value;
}

function startSecond() {
  const first = new URLSearchParams(filled());
  for (const name of NOT_LINKED) first.delete(name);
  empty();
  form.elements.first.value = first;
  second();
  keep();
  show(blank);
  form.querySelector("input[type=text]").focus();
}

function planned() {
  // The published dose and days stand, grey, where another may be typed.
  const course = form.elements.regimen;
  const option = course && course.selectedOptions && course.selectedOptions[0];
  if (!option || !form.elements.dose) return;
  form.elements.dose.placeholder = option.dataset.dose || "";
  form.elements.days.placeholder = option.dataset.days || "";
}

// ---------------------------------------------------------------- figures that can be asked

function ready() {
  const chart = document.getElementById("chart");
  for (const button of form.querySelectorAll("[data-chart]")) button.hidden = !chart;
  for (const figure of answer.querySelectorAll("[data-ask]")) askable(figure);
}

function askable(figure) {
  const svg = figure.querySelector("svg");
  const rows = [...figure.querySelectorAll("tr[data-x]")];
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const output = document.createElement("output");
  const area = svg.viewBox.baseVal;
  let at = -1;
  line.setAttribute("class", "cursor");
  line.setAttribute("y1", 16);
  line.setAttribute("y2", area.height - 28);
  output.className = "values";
  svg.after(output);
  svg.setAttribute("tabindex", "0");
  function to(k) {
    at = Math.min(Math.max(k, 0), rows.length - 1);
    for (const end of ["x1", "x2"]) line.setAttribute(end, rows[at].dataset.x);
    svg.append(line);
    output.textContent = [...rows[at].cells]
      .map((cell, k) => `${figure.querySelectorAll("thead th")[k].textContent} ${cell.textContent}`)
      .join("; ");
  }
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * area.width;
    const y = ((event.clientY - box.top) / box.height) * area.height;
    const away = rows.map(({ dataset }) => Math.abs(dataset.y ? dataset.y - y : dataset.x - x));
    to(away.indexOf(Math.min(...away)));
  });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (event.key === "Home") to(0);
    else if (event.key === "End") to(rows.length - 1);
    else if (step) to(at + step);
    else return;
    event.preventDefault();
  });
}

// ---------------------------------------------------------------- beginning

addEventListener("popstate", () => location.reload());
// Somebody went back before this script ran: the address is another page's already.
const [{ name: loaded, redirectCount }] = performance.getEntriesByType("navigation");
if (!redirectCount && new URL(loaded).pathname !== location.pathname) location.reload();
document.querySelector(".top").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (isCase && value("token")) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});

function value(name) {
  const field = form && form.elements[name];
  return field ? field.value : "";
}

const opener = document.getElementById("open");
if (opener) {
  opener.addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await fetch(opener.action, {
      method: "POST", body: new FormData(opener), headers: { "X-Part": "answer" },
    });
    if ((response.headers.get("content-type") || "").startsWith("application/json")) {
      const opened = await response.json();
      history.pushState({ form: opened.form }, "", opened.path);
      location.reload();
    } else show(await response.text());
  });
}

if (form) {
  for (const button of form.querySelectorAll("[data-print], [data-copy]")) button.hidden = false;
  // The tabs take the patient along.
  if (isCase && !form.elements.token) {
    for (const button of form.querySelectorAll("[name=carry]")) button.hidden = true;
  }
  form.addEventListener("input", () => {
    if (form.elements.case) form.elements.case.value = ""; // no longer the case that was opened
    edited();
  });
  form.addEventListener("change", release);
  form.addEventListener("focusout", release);
  form.addEventListener("change", planned);
  answer.addEventListener("input", (event) => {
    if (event.target.form === form) edited(); // a box beside the answer
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    empty();
    second();
    planned();
    show(blank);
    form.querySelector("input[type=text]")?.focus();
  });
  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    const path = button && button.getAttribute("formaction");
    if (path && button.name === "carry" && !value("token")) {
      event.preventDefault();
      go(path);
      return;
    }
    if (path && !button.hasAttribute("data-here")) return;
    event.preventDefault();
    if (button && button.hasAttribute("data-second")) startSecond();
    else ask(button || form).then(() => answer.focus());
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.hasAttribute("data-print")) print();
    if (button.hasAttribute("data-chart")) {
      copied(button, document.getElementById("chart").textContent, words.copiedChart);
    }
    if (button.hasAttribute("data-copy")) {
      const state = filled();
      for (const name of NOT_LINKED) delete state[name];
      const link = `${location.origin}${location.pathname}#${new URLSearchParams(state)}`;
      copied(button, link, words.copiedLink);
    }
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
    fill(Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
    history.replaceState(null, "", location.pathname); // patients do not stay in the history
    edited();
  } else if (isCase && Object.keys(kept()).length) {
    fill(kept());
    edited();
  } else if (isCase) {
    keep();
    planned();
  }
  if (answer.querySelector("[data-said]")) ready();
}
