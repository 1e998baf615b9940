// For administrators: whom to invite, and what became of it.

import { get, post, remove } from "../api.js";
import { append, el, link, moment, say } from "../dom.js";
import { doer, field, form } from "../forms.js";
import { again } from "../app.js";
import { rankField, rolesOf } from "../ranks.js";
import { byWhom } from "./activity.js";
import { tabs } from "./people.js";

const PATH = "/api/users/invitations";
const PER_PAGE = 8;

export async function invitations() {
  return el(
    "div", { class: "column" },
    el("div", { class: "head" }, el("h1", {}, "Invitations"), el("p", { class: "muted" }, "Who is asked to join, and who has."), tabs("/people/invitations")),
    el(
      "div", { class: "panels" },
      el("section", { class: "card", "aria-label": "Invite somebody" }, el("h2", { class: "panel-head" }, "Invite somebody"), invite()),
      el("section", { class: "card", "aria-label": "Sent" }, el("h2", { class: "panel-head" }, "Sent so far"), await sent()),
    ),
  );
}

function invite() {
  return form({
    fields: [field("email", { label: "E-mail address", type: "email", autocomplete: "off", required: true, hint: "They get a link, good for a week, and choose a password themselves." }), rankField()],
    action: "Send invitation",
    submit: async ({ email, rank }) => {
      await post(PATH, { email, roles: rolesOf(rank) });
      await again();
      say(`${email} is invited.`);
    },
  });
}

async function sent() {
  const list = el("ul", { class: "list actions", "aria-label": "Invitations" });
  const more = el("div", { class: "more" });
  const notice = el("p", { class: "notice", role: "alert" });

  async function load(cursor) {
    const query = new URLSearchParams({ per_page: PER_PAGE, ...(cursor && { cursor }) });
    const { invitations: found, next_cursor: next } = await get(`${PATH}?${query}`);
    const who = await Promise.all(found.map(({ invited_by: key }) => byWhom({ actor_id: key === null ? null : String(key) })));
    append(list, found.map((invitation, index) => item(invitation, who[index], notice)));
    more.replaceChildren();
    if (next) more.append(doer("Show older", () => load(next), { notice }));
    return found;
  }

  const first = await load();
  return el("div", { class: "stack" }, notice, first.length ? list : el("p", { class: "muted small" }, "Nobody has been invited yet."), more);
}

function item(invitation, who, notice) {
  const { id, email, roles, status } = invitation;
  const act = (text, said, run) => doer(text, async () => {
    await run();
    await again();
    say(said);
  }, { notice, "aria-label": `${text}: ${email}` });
  return el(
    "li", {},
    el(
      "div", { class: "main" },
      el("p", {}, el("strong", {}, email), " ", el("span", { class: "badges" }, el("span", { class: `badge ${TONES[status]}` }, status), roles.map((role) => el("span", { class: "badge" }, role)))),
      el("p", { class: "muted small" }, told(invitation), who && ` · ${who}`),
    ),
    ["open", "expired"].includes(status) && [
      act("Send again", `${email} is invited again. The older link is void.`, () => post(`${PATH}/${id}/resend`)),
      act("Withdraw", `The invitation of ${email} is withdrawn.`, () => remove(`${PATH}/${id}`)),
    ],
    status === "accepted" && link(`#/people/${invitation.accepted_user}`, "Manage", { class: "button quiet small", "aria-label": `Manage ${email}` }),
  );
}

const TONES = { open: "warm", accepted: "", withdrawn: "off", expired: "off" };

function told({ status, sent_at: at, expires_at: until, accepted_at: accepted, withdrawn_at: withdrawn }) {
  if (status === "accepted") return ["joined ", moment(accepted)];
  if (status === "withdrawn") return ["withdrawn ", moment(withdrawn)];
  return ["sent ", moment(at), status === "expired" ? " · was good until " : " · good until ", moment(until)];
}
