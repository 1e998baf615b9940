"""The blog's own API: anybody reads, people write, moderators remove.

What people wrote whose accounts are switched off, by an administrator or because they are leaving, is not shown meanwhile.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from flask import Blueprint, Response, abort, request
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError
from sqlalchemy.orm import contains_eager

from flask_accounts import current_principal, current_user, is_authenticated, login_required, roles_required

from .models import Post, User, db, utc_now

blueprint = Blueprint("posts", __name__, url_prefix="/api")
PER_PAGE = 10


def _storable(text: str) -> str:
    if "\x00" in text:
        raise PydanticCustomError("invalid_character", "Holds a character that is not allowed.")
    return text


class PostInput(BaseModel):
    """What an author gives."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120), AfterValidator(_storable)]
    body: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16_000), AfterValidator(_storable)]


@blueprint.get("/posts")
@login_required(optional=True)
def list_posts() -> dict[str, Any]:
    """Posts, newest first; `?page=` from 1, and `?author=` for one person's."""
    page = min(max(request.args.get("page", 1, type=int), 1), 1_000_000)
    statement = sa.select(Post).join(User).where(User.is_active).options(contains_eager(Post.author)).order_by(Post.id.desc())
    if author := request.args.get("author"):
        statement = statement.where(User.username_normalized == author.casefold().replace("\x00", ""))
    found = db.paginate(statement, page=page, per_page=PER_PAGE, error_out=False)
    return {
        "posts": [_shown(post) for post in found.items],
        "total": found.total,
        "pages": found.pages,
        "current_page": page,
    }


@blueprint.get("/posts/<int(max=2147483647):post_id>")
@login_required(optional=True)
def get_post(post_id: int) -> dict[str, Any]:
    """One post."""
    return _shown(_found(post_id))


@blueprint.post("/posts")
@login_required
def create_post() -> tuple[dict[str, Any], int]:
    """Write."""
    given = _given()
    post = Post(title=given.title, body=given.body, author=current_user._get_current_object())
    db.session.add(post)
    db.session.commit()
    return _shown(post), 201


@blueprint.patch("/posts/<int(max=2147483647):post_id>")
@login_required
def edit_post(post_id: int) -> dict[str, Any]:
    """Change what one wrote oneself."""
    post = _found(post_id)
    if not _may_edit(post):
        abort(403, "Only its author edits a post.")
    given = _given()
    post.title, post.body, post.edited_at = given.title, given.body, utc_now()
    db.session.commit()
    return _shown(post)


@blueprint.delete("/posts/<int(max=2147483647):post_id>")
@login_required
def delete_post(post_id: int) -> tuple[str, int]:
    """Remove what one wrote oneself; with the permission `posts:moderate`, anything."""
    post = _found(post_id)
    if not _may_delete(post):
        abort(403, "Only its author or a moderator deletes a post.")
    db.session.delete(post)
    db.session.commit()
    return "", 204


@blueprint.get("/archive")
@login_required
async def archive() -> Response:
    """One's own posts as a Markdown file; the text is put together off the event loop."""
    posts = [(post.title, post.published_at, post.body) for post in current_user.posts]
    text = await asyncio.to_thread(_markdown, posts)
    headers = {"Content-Disposition": "attachment; filename=commonplace.md", "Cache-Control": "no-store"}
    return Response(text, content_type="text/markdown; charset=utf-8", headers=headers)


@blueprint.get("/overview")
@roles_required("admin")
def overview() -> dict[str, int]:
    """How much there is, for administrators."""
    people, disabled, posts = db.session.execute(
        sa.select(
            sa.select(sa.func.count(User.id)).scalar_subquery(),
            sa.select(sa.func.count(User.id)).where(User.is_active.is_(False)).scalar_subquery(),
            sa.select(sa.func.count(Post.id)).scalar_subquery(),
        )
    ).one()
    return {"people": people, "disabled": disabled, "posts": posts}


def export(user: User) -> list[dict[str, Any]]:
    """What a person has written, for the document of everything that is stored about them."""
    return [
        {
            "title": post.title,
            "body": post.body,
            "published_at": _utc(post.published_at),
            "edited_at": _utc(post.edited_at) if post.edited_at else None,
        }
        for post in user.posts
    ]


def _found(post_id: int) -> Post:
    statement = sa.select(Post).join(User).where(Post.id == post_id, User.is_active).options(contains_eager(Post.author))
    found: Post = db.one_or_404(statement, description="There is no such post.")
    return found


def _given() -> PostInput:
    if not request.is_json:
        abort(415, "Send JSON.")
    return PostInput.model_validate_json(request.get_data())


def _may_edit(post: Post) -> bool:
    return is_authenticated() and post.author_id == current_principal.user_id


def _may_delete(post: Post) -> bool:
    return _may_edit(post) or (is_authenticated() and current_principal.can("posts:moderate"))


def _shown(post: Post) -> dict[str, Any]:
    return {
        "id": post.id,
        "title": post.title,
        "body": post.body,
        "published_at": _utc(post.published_at),
        "edited_at": _utc(post.edited_at) if post.edited_at else None,
        "author": {"id": post.author.id, "username": post.author.username, "name": post.author.name},
        "can": {"edit": _may_edit(post), "delete": _may_delete(post)},
    }


def _utc(moment: datetime) -> str:
    return moment.replace(tzinfo=UTC).isoformat()


def _markdown(posts: list[tuple[str, datetime, str]]) -> str:
    return "\n\n".join(f"# {title}\n\n*{published:%d %B %Y}*\n\n{body}" for title, published, body in posts) + "\n"
