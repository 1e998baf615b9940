// The front page: posts, newest first.

import { get } from "../api.js";
import { avatar, day, el, link } from "../dom.js";
import { session } from "../session.js";

export async function home({ query }) {
  const page = Number(query.get("page")) || 1;
  const found = await get(`/api/posts?page=${page}`);
  return el(
    "div", { class: "column" },
    page === 1 && !session.user
      ? el(
        "section", { class: "hero" },
        el("h1", {}, "A notebook that we keep together"),
        el("p", { class: "lead" }, "Short pages by whoever has something worth keeping. Read as long as you like; register to write."),
        el("div", { class: "row" }, link("#/register", "Register", { class: "button" }), link("#/sign-in", "Sign in", { class: "button quiet" })),
      )
      : el("div", { class: "row spread head" }, el("h1", {}, page === 1 ? "Newest pages" : "Older pages"), session.user && link("#/write", "Write a post", { class: "button" })),
    found.posts.length
      ? el("ol", { class: "posts" }, found.posts.map(card))
      : el("div", { class: "empty" }, el("p", {}, "Nothing has been written here yet."), session.user && link("#/write", "Write the first page", { class: "button" })),
    found.pages > 1 && el(
      "nav", { class: "pager", "aria-label": "Pages" },
      page > 1 ? link(page === 2 ? "#/" : `#/?page=${page - 1}`, "← Newer", { class: "button quiet" }) : el("span"),
      el("span", { class: "muted small" }, `Page ${page} of ${found.pages}`),
      page < found.pages ? link(`#/?page=${page + 1}`, "Older →", { class: "button quiet" }) : el("span"),
    ),
  );
}

export function byline(post) {
  return el(
    "div", { class: "byline" },
    avatar(post.author),
    el("span", {}, el("strong", {}, post.author.name), " · ", day(post.published_at), post.edited_at && " · edited"),
  );
}

function card(post) {
  return el(
    "li", {},
    el("article", {}, byline(post), el("h2", {}, link(`#/posts/${post.id}`, post.title)), el("p", { class: "excerpt" }, post.body.replace(/\s+/g, " ").slice(0, 400))),
  );
}
