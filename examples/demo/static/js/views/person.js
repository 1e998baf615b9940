// For administrators: one person, what they may do, and what was done.

import { get, post, put, remove } from "../api.js";
import { ask, cancelButton, confirm } from "../dialogs.js";
import { avatar, day, el, link, nameOf, say } from "../dom.js";
import { doer, field, form } from "../forms.js";
import { again } from "../app.js";
import { rankField, rolesOf } from "../ranks.js";
import { activity, byWhom } from "./activity.js";
import { badges } from "./people.js";

export async function person({ parameters: [id] }) {
  const path = `/api/users/${id}`;
  const [user, standing, { sessions }, events] = await Promise.all([get(path), get(`${path}/standing`), get(`${path}/sessions`), activity(`${path}/events`, byWhom)]);
  return el(
    "div", { class: "column" },
    link("#/people", "← People"),
    el("div", { class: "row head person-head" }, avatar(user, "large"), el("div", { class: "grow" }, el("h1", {}, nameOf(user)), el("p", { class: "muted" }, user.email, " ", badges(user)))),
    el(
      "div", { class: "panels" },
      el("section", { class: "card" }, el(
        "dl", { class: "facts" },
        el("dt", {}, "Username"), el("dd", {}, user.username ?? "none"),
        el("dt", {}, "Joined"), el("dd", {}, day(user.created_at)),
        el("dt", {}, "Signed in"), el("dd", {}, sessions.length === 0 ? "nowhere" : sessions.length === 1 ? "in one place" : `in ${sessions.length} places`),
      )),
      panel("Role", rank(user, path)),
      panel("Access", access(user, standing, path)),
      panel("Activity", events),
    ),
  );
}

function panel(title, ...content) {
  return el("section", { class: "card", "aria-label": title }, el("h2", { class: "panel-head" }, title), content);
}

function rank(user, path) {
  return form({
    fields: [rankField(user.roles, { class: "unseen" })],
    action: "Save role",
    submit: async (given) => {
      await put(`${path}/roles`, { roles: rolesOf(given.rank, user.roles) });
      await again();
      say(`The role of ${nameOf(user)} is saved.`);
    },
  });
}

function access(user, standing, path) {
  const notice = el("p", { class: "notice", role: "alert" });
  const name = nameOf(user);
  const row = (title, text, action, act, style) => el(
    "li", {},
    el("div", { class: "main" }, el("p", {}, el("strong", {}, title)), el("p", { class: "muted small" }, text)),
    doer(action, act, { notice, style: `${style ?? "quiet"} small` }),
  );
  const done = (said, run) => async () => {
    if ((await run()) === false) return;
    await again();
    say(said);
  };
  return [
    notice,
    el(
      "ul", { class: "list actions" },
      !user.email_verified && row("Confirmation", `Send ${user.email} a new link and code.`, "Send again", done("A mail is on its way.", () => post(`${path}/email/verify/resend`))),
      row("Too many wrong passwords", "Who mistypes has to wait. Let them try again at once.", "Unlock", done(`${name} may try again.`, () => post(`${path}/unlock`))),
      row("Sessions", "Sign them out, wherever they are.", "Sign out everywhere", done(`${name} is signed out everywhere.`, () => remove(`${path}/sessions`))),
      row("Password", "Make it useless, and mail a link to set a new one.", "Force a new one", done(`${name} has to set a new password.`, () => confirm("Force a new password?", `${name} is signed out everywhere and cannot sign in before a new password is set, by a link that we mail to ${user.email}.`, "Force a new password", () => post(`${path}/password-reset`)).then(Boolean))),
      user.is_active
        ? row("Account", "Signed out everywhere, nobody signs in to it, and what they wrote is hidden.", "Disable…", done(`${name} is disabled and signed out everywhere.`, () => disable(name, path)), "danger")
        : row("Account", whyOff(standing), "Enable", done(`${name} is enabled.`, () => post(`${path}/enable`))),
    ),
  ];
}

function whyOff({ suspension, deletion }) {
  return [
    suspension && ["Disabled on ", day(suspension.disabled_at), suspension.until && [", until ", day(suspension.until)], suspension.reason ? `: ${suspension.reason}. ` : ". "],
    deletion && ["Deleted by its owner on ", day(deletion.requested_at), ", and gone for good on ", day(deletion.erase_at), ". "],
    !suspension && !deletion && "Disabled. ",
    deletion && !suspension ? "Signing in brings it back; so does enabling." : "Nobody signs in to it.", " What they wrote is hidden.",
  ];
}

// False when it was not done after all.
async function disable(name, path) {
  return Boolean(await ask(`Disable ${name}?`, (close) => [
    form({
      fields: [
        field("reason", { label: "Reason", optional: true, maxlength: 255, autocomplete: "off", hint: "For administrators. The person is not told." }),
        field("until", { label: "Until", optional: true, type: "date", hint: "From that day on they may sign in again. Without one, somebody has to enable the account." }),
      ],
      action: "Disable account", style: "danger", cancel: cancelButton(close),
      submit: async ({ reason, until }) => {
        await post(`${path}/disable`, { reason: reason || null, until: until ? new Date(`${until}T00:00`).toISOString() : null });
        close(true);
      },
    }),
  ]));
}
