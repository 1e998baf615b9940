// Writing a post, or editing one's own.

import { get, patch, post } from "../api.js";
import { el, link, say } from "../dom.js";
import { field, form } from "../forms.js";
import { go } from "../app.js";

export async function write({ parameters: [id] }) {
  const old = id ? await get(`/api/posts/${id}`) : null;
  if (old && !old.can.edit) return el("div", { class: "column empty" }, el("h1", {}, "This is somebody else’s page"), link(`#/posts/${id}`, "Read it", { class: "button quiet" }));
  return el(
    "div", { class: "column writing" },
    el("div", { class: "head" }, el("h1", {}, old ? "Edit your post" : "Write a post")),
    form({
      fields: [
        field("title", { label: "Title", maxlength: 120, value: old?.title ?? "", "data-focus": true, autocomplete: "off" }),
        field("body", { label: "Text", rows: 14, maxlength: 16000, value: old?.body ?? "", hint: "Leave an empty line between paragraphs." }),
      ],
      action: old ? "Save" : "Publish",
      cancel: link(old ? `#/posts/${id}` : "#/", "Cancel", { class: "button quiet" }),
      submit: async ({ title, body }) => {
        const saved = old ? await patch(`/api/posts/${id}`, { title, body }) : await post("/api/posts", { title, body });
        await go(`/posts/${saved.id}`);
        say(old ? "Saved." : "Published.");
      },
    }),
  );
}
