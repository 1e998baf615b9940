// Elements out of words. Text is only ever text: nothing here, or anywhere in this page, parses markup.

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child);
  }
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

export function link(href, text, attributes = {}) {
  return el("a", { href, ...attributes }, text);
}

// Tells in passing, on the screen and to screen readers; longer what takes longer to read.
let quiet;
export function say(text) {
  const region = document.getElementById("said");
  region.textContent = text;
  clearTimeout(quiet);
  quiet = setTimeout(() => { region.textContent = ""; }, Math.max(4500, text.length * 90));
}

export function avatar(person, size = "") {
  const name = nameOf(person);
  const letters = [...name.matchAll(/(?:^|[\s._-])(\p{L}|\p{N})/gu)].map((match) => match[1]);
  const initials = (letters.length > 1 ? letters[0] + letters.at(-1) : letters[0] ?? "?").toUpperCase();
  return el("span", { class: `avatar tone-${person.id % 6} ${size}`, "aria-hidden": "true" }, initials);
}

export function nameOf(person) {
  return person.name || person.display_name || person.username || person.email;
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

export function date(text) {
  return DAY.format(new Date(text));
}

export function day(text) {
  return el("time", { datetime: text }, date(text));
}

export function moment(text) {
  return el("time", { datetime: text }, MOMENT.format(new Date(text)));
}

// Seconds in words, rounded up: nobody should come back too early.
export function span(seconds) {
  const [size, unit] = seconds > 5400 ? [3600, "hour"] : seconds > 90 ? [60, "minute"] : [1, "second"];
  const number = Math.ceil(seconds / size);
  return `${number} ${unit}${number === 1 ? "" : "s"}`;
}
