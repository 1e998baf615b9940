// Forms with labels, hints, and the server's words beside the field they are about.

import { el, fill } from "./dom.js";

export const PASSWORD_HINT = "At least 8 characters; a few unrelated words are best.";

let count = 0;

// A labelled input: type, label, hint, optional, and any attribute of the input. `rows` make it a text, `options` (value and words) a choice.
export function field(name, { label, hint, optional, type = "text", rows, options, value = "", ...attributes }) {
  const id = `field-${++count}`;
  const described = [hint && `${id}-hint`, `${id}-problem`].filter(Boolean).join(" ");
  const shared = { id, name, value, "aria-describedby": described, ...attributes };
  const input = rows ? el("textarea", { rows, ...shared }) : options ? select(options, shared) : el("input", { type, ...shared });
  return el(
    "div", { class: `field ${name}`, "data-field": name },
    el("label", { for: id }, label, optional && el("span", { class: "optional" }, " (optional)")),
    type === "password" ? el("div", { class: "with-toggle" }, input, toggle(input)) : input,
    hint && el("p", { class: "hint", id: `${id}-hint` }, hint),
    el("p", { class: "problem", id: `${id}-problem` }),
  );
}

function select(options, { value, ...attributes }) {
  return el("select", attributes, options.map(([each, words]) => el("option", { value: each, selected: each === value }, words)));
}

// Something to tick, with a few words below.
export function tick(name, { label, hint, value = "on", ...attributes }) {
  return el("label", { class: "choice" }, el("input", { type: "checkbox", name, value, ...attributes }), el("span", {}, el("strong", {}, label), hint && el("span", { class: "muted small" }, hint)));
}

function toggle(input) {
  const button = el("button", { type: "button", "aria-pressed": "false", "aria-label": `Show ${input.name.replaceAll("_", " ")}` }, "Show");
  button.addEventListener("click", () => {
    const show = input.type === "password";
    input.type = show ? "text" : "password";
    button.textContent = show ? "Hide" : "Show";
    button.setAttribute("aria-pressed", String(show));
  });
  return button;
}

// A form that runs `submit(values)` and shows what goes wrong. `values` are the fields' texts by name. `other` is a second button: its
// words, and what it runs on the same fields.
export function form({ fields, action, submit, style = "", wide = false, cancel, other }) {
  const notice = el("p", { class: "notice", role: "alert" });
  const button = el("button", { class: `button ${style} ${wide ? "wide" : ""}`, type: "submit" }, action);
  const second = other && el("button", { class: `button quiet ${wide ? "wide" : ""}`, type: "submit" }, other.action);
  const element = el(
    "form", { class: "stack", novalidate: true },
    notice, fields,
    el("div", { class: "row" }, button, second, cancel),
  );
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    // Not `disabled`: that would take the keyboard's focus away.
    if (button.hasAttribute("aria-disabled")) return;
    clear(element, notice);
    button.setAttribute("aria-disabled", "true");
    try {
      const run = second && event.submitter === second ? other.submit : submit;
      await run(Object.fromEntries(new FormData(element)), element);
    } catch (problem) {
      show(element, notice, problem);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
  return element;
}

// A button that runs `act`, once at a time; what goes wrong is said in `notice`, an element of the page.
export function doer(text, act, { notice, style = "quiet small", ...attributes }) {
  const button = el("button", { class: `button ${style}`, type: "button", ...attributes }, text);
  button.addEventListener("click", async () => {
    if (button.hasAttribute("aria-disabled")) return;
    fill(notice);
    button.setAttribute("aria-disabled", "true");
    try {
      await act();
    } catch (problem) {
      notice.textContent = problem.message;
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
  return button;
}

function clear(element, notice) {
  fill(notice);
  for (const problem of element.querySelectorAll(".problem")) fill(problem);
  for (const input of element.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

// What names a field stands beside it, everything else on top.
function show(element, notice, problem) {
  const WHERE = { EMAIL_TAKEN: "email", INVITATION_EXISTS: "email", USERNAME_TAKEN: "username", ONE_TIME_TOKEN_INVALID: "code" };
  const errors = WHERE[problem.code] ? [{ field: WHERE[problem.code], message: problem.message }] : problem.errors ?? [];
  const elsewhere = [];
  for (const error of errors) {
    const place = element.querySelector(`[data-field="${CSS.escape(error.field)}"]`);
    if (!place) {
      elsewhere.push(error.message);
      continue;
    }
    const input = place.querySelector("input, textarea, select");
    input.setAttribute("aria-invalid", "true");
    place.querySelector(".problem").textContent = sentence(error.message);
  }
  if (elsewhere.length) notice.textContent = elsewhere.map(sentence).join(" ");
  else if (!errors.length) notice.textContent = problem.message;
  const wrong = problem.code === "INVALID_CREDENTIALS" ? "[name$=password]" : '[aria-invalid="true"]';
  const input = element.querySelector(wrong) ?? element.querySelector("input:not([hidden]), textarea");
  input?.focus();
  if (input?.type === "password") input.select();
}

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
