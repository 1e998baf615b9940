// For administrators: everybody, and how to find somebody.

import { get } from "../api.js";
import { avatar, el, fill, link, nameOf } from "../dom.js";
import { session } from "../session.js";

const PER_PAGE = 8;
const STATES = [["", "Everybody"], ["true", "Active"], ["false", "Disabled"]];

// Kept, so that whoever comes back from one person finds the same list.
const asked = { search: "", is_active: "", page: 1 };

export async function people() {
  const list = el("div", { "aria-live": "polite" });
  const figures = el("dl", { class: "figures" });
  let turn = 0;

  async function load() {
    const mine = ++turn;
    const query = new URLSearchParams({ page: asked.page, per_page: PER_PAGE, sort: "-created_at" });
    if (asked.search) query.set("search", asked.search);
    if (asked.is_active) query.set("is_active", asked.is_active);
    const [found, numbers] = await Promise.all([get(`/api/users?${query}`), get("/api/overview")]);
    if (mine !== turn) return; // a later answer is on its way
    fill(figures, figure("People", numbers.people), figure("Disabled", numbers.disabled), figure("Posts", numbers.posts));
    draw(found);
  }

  const reload = (change) => {
    Object.assign(asked, { page: 1 }, change);
    return load().catch((problem) => fill(list, el("p", { class: "notice", role: "alert" }, problem.message)));
  };

  function draw(found) {
    const move = (page, text) => el("button", { class: "button quiet", type: "button", onclick: () => reload({ page }) }, text);
    fill(
      list,
      el("p", { class: "muted small" }, found.total === 1 ? "1 account" : `${found.total}${found.total_capped ? "+" : ""} accounts`),
      found.users.length
        ? el("ul", { class: "list people", "aria-label": "Accounts" }, found.users.map(person))
        : el("div", { class: "empty" }, el("p", {}, "Nobody fits that."), el("button", { class: "button quiet", type: "button", onclick: everybody }, "Show everybody")),
      found.pages > 1 && el(
        "nav", { class: "pager", "aria-label": "Pages" },
        asked.page > 1 ? move(asked.page - 1, "← Back") : el("span"),
        el("span", { class: "muted small" }, `Page ${asked.page} of ${found.pages}${found.total_capped ? "+" : ""}`),
        asked.page < found.pages || found.total_capped ? move(asked.page + 1, "Next →") : el("span"),
      ),
    );
  }

  let typing;
  const search = el("input", {
    id: "search", type: "search", value: asked.search, placeholder: "Name or address", autocomplete: "off", maxlength: 100,
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => reload({ search: search.value.trim() }), 250);
    },
  });
  const state = el("select", { id: "state", onchange: () => reload({ is_active: state.value }) }, STATES.map(([value, text]) => el("option", { value, selected: value === asked.is_active }, text)));

  function everybody() {
    search.value = "";
    state.value = "";
    reload({ search: "", is_active: "" });
    search.focus();
  }

  await load();
  return el(
    "div", { class: "column" },
    el("div", { class: "head" }, el("h1", {}, "People"), el("p", { class: "muted" }, "Who has an account here, and what they may do."), tabs("/people")),
    figures,
    el(
      "div", { class: "card" },
      el(
        "div", { class: "tools", role: "search" },
        el("div", { class: "field" }, el("label", { for: "search" }, "Search"), search),
        el("div", { class: "field" }, el("label", { for: "state" }, "Show"), state),
      ),
      list,
    ),
  );
}

// The pages of administrators.
export function tabs(path) {
  const tab = (to, text) => link(`#${to}`, text, { "aria-current": to === path ? "page" : undefined });
  return el("nav", { class: "tabs", "aria-label": "People and invitations" }, tab("/people", "Accounts"), tab("/people/invitations", "Invitations"));
}

function figure(name, value) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, value.toLocaleString("en")));
}

function person(user) {
  return el(
    "li", {},
    avatar(user),
    el(
      "div", { class: "main" },
      el("p", {}, el("span", { class: "name" }, nameOf(user)), " ", badges(user)),
      el("p", { class: "muted small" }, user.email),
    ),
    link(`#/people/${user.id}`, "Manage", { class: "button quiet small", "aria-label": `Manage ${nameOf(user)}` }),
  );
}

export function badges(user) {
  return el(
    "span", { class: "badges" },
    user.id === session.user.id && el("span", { class: "badge warm" }, "you"),
    user.roles.map((role) => el("span", { class: "badge" }, role)),
    !user.email_verified && el("span", { class: "badge warm" }, "not confirmed"),
    !user.is_active && el("span", { class: "badge off" }, "disabled"),
  );
}
