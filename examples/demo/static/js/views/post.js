// One post, and what its reader may do with it.

import { get, remove } from "../api.js";
import { confirm } from "../dialogs.js";
import { el, link, say } from "../dom.js";
import { go } from "../app.js";
import { byline } from "./home.js";

export async function post({ parameters: [id] }) {
  const found = await get(`/api/posts/${id}`);
  const paragraphs = found.body.split(/\n\s*\n/).map((text) => text.trim()).filter(Boolean);

  async function erase() {
    const done = await confirm("Delete this post?", `“${found.title}” will be gone for good.`, "Delete post", () => remove(`/api/posts/${id}`));
    if (!done) return;
    await go("/");
    say("The post is deleted.");
  }

  return el(
    "article", { class: "column" },
    link("#/", "← All pages"),
    el("header", { class: "article-head" }, el("h1", {}, found.title), byline(found)),
    el("div", { class: "prose" }, paragraphs.map((text) => el("p", {}, text))),
    (found.can.edit || found.can.delete) && el(
      "div", { class: "row after" },
      found.can.edit && link(`#/posts/${id}/edit`, "Edit", { class: "button quiet" }),
      found.can.delete && el("button", { class: "button danger", type: "button", onclick: erase }, "Delete"),
    ),
  );
}
