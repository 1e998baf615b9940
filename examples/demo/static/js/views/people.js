// For administrators: everybody, found, promoted, switched off and on.

import { get, post, put, remove } from "../api.js";
import { ask, cancelButton } from "../dialogs.js";
import { avatar, day, el, fill, nameOf, say } from "../dom.js";
import { form } from "../forms.js";
import { session } from "../session.js";

const PER_PAGE = 8;
// What the choice in the dialog stands for. Other roles an account may have are left as they are.
const RANKS = [
  ["", "Member", "Writes, and edits what is their own."],
  ["moderator", "Moderator", "Deletes posts of anybody."],
  ["admin", "Administrator", "Everything, these pages included."],
];
const STATES = [["", "Everybody"], ["true", "Active"], ["false", "Disabled"]];

export async function people() {
  const asked = { search: "", is_active: "", page: 1 };
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
      el("p", { class: "muted small" }, found.total === 1 ? "1 account" : `${found.total} accounts`),
      found.users.length
        ? el("ul", { class: "list people", "aria-label": "Accounts" }, found.users.map((user) => person(user, reload, asked)))
        : el("div", { class: "empty" }, el("p", {}, "Nobody fits that."), el("button", { class: "button quiet", type: "button", onclick: everybody }, "Show everybody")),
      found.pages > 1 && el(
        "nav", { class: "pager", "aria-label": "Pages" },
        asked.page > 1 ? move(asked.page - 1, "← Back") : el("span"),
        el("span", { class: "muted small" }, `Page ${asked.page} of ${found.pages}`),
        asked.page < found.pages ? move(asked.page + 1, "Next →") : el("span"),
      ),
    );
  }

  let typing;
  const search = el("input", {
    id: "search", type: "search", placeholder: "Name or address", autocomplete: "off", maxlength: 100,
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => reload({ search: search.value.trim() }), 250);
    },
  });
  const state = el("select", { id: "state", onchange: () => reload({ is_active: state.value }) }, STATES.map(([value, text]) => el("option", { value }, text)));

  function everybody() {
    search.value = "";
    state.value = "";
    reload({ search: "", is_active: "" });
    search.focus();
  }

  await load();
  return el(
    "div", { class: "column" },
    el("div", { class: "head" }, el("h1", {}, "People"), el("p", { class: "muted" }, "Who has an account here, and what they may do.")),
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

function figure(name, value) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, value.toLocaleString("en")));
}

function person(user, reload, asked) {
  const manage = async () => {
    await dialog(user);
    await reload({ page: asked.page });
    document.getElementById(`manage-${user.id}`)?.focus();
  };
  return el(
    "li", {},
    avatar(user),
    el(
      "div", { class: "main" },
      el("p", {}, el("span", { class: "name" }, nameOf(user)), " ", badges(user)),
      el("p", { class: "muted small" }, user.email),
    ),
    el("button", { class: "button quiet small", type: "button", id: `manage-${user.id}`, "aria-label": `Manage ${nameOf(user)}`, onclick: manage }, "Manage"),
  );
}

function badges(user) {
  return el(
    "span", { class: "badges" },
    user.id === session.user.id && el("span", { class: "badge warm" }, "you"),
    user.roles.map((role) => el("span", { class: "badge" }, role)),
    !user.is_active && el("span", { class: "badge off" }, "disabled"),
  );
}

function dialog(user) {
  const path = `/api/users/${user.id}`;
  return ask(nameOf(user), (close) => {
    const open = el("dd", {}, "…");
    get(`${path}/sessions`).then(({ sessions }) => fill(open, sessions.length === 0 ? "nowhere" : sessions.length === 1 ? "in one place" : `in ${sessions.length} places`), () => fill(open, "unknown"));
    const rank = RANKS.toReversed().find(([role]) => !role || user.roles.includes(role))[0];
    const others = user.roles.filter((role) => !RANKS.some(([known]) => known === role));
    const act = (action, style, said, run) => form({
      fields: [], action, style,
      submit: async () => {
        await run();
        close(true);
        say(said);
      },
    });
    return [
      el(
        "dl", { class: "facts" },
        el("dt", {}, "Username"), el("dd", {}, user.username ?? "none"),
        el("dt", {}, "Address"), el("dd", {}, user.email),
        el("dt", {}, "Joined"), el("dd", {}, day(user.created_at)),
        el("dt", {}, "Signed in"), open,
      ),
      form({
        fields: [el(
          "fieldset", { class: "field", "data-field": "roles" },
          el("legend", {}, "Role"),
          RANKS.map(([role, name, text]) => el("label", { class: "choice" }, el("input", { type: "radio", name: "rank", value: role, checked: role === rank }), el("span", {}, el("strong", {}, name), el("span", { class: "muted small" }, text)))),
          el("p", { class: "problem" }),
        )],
        action: "Save role", cancel: cancelButton(close, "Close"),
        submit: async (given) => {
          await put(`${path}/roles`, { roles: given.rank ? [...others, given.rank] : others });
          close(true);
          say(`The role of ${nameOf(user)} is saved.`);
        },
      }),
      el(
        "div", { class: "row after" },
        user.is_active
          ? act("Disable account", "danger", `${nameOf(user)} is disabled and signed out everywhere.`, () => post(`${path}/disable`))
          : act("Enable account", "quiet", `${nameOf(user)} is enabled.`, () => post(`${path}/enable`)),
        act("Sign out everywhere", "quiet", `${nameOf(user)} is signed out everywhere.`, () => remove(`${path}/sessions`)),
      ),
    ];
  });
}
