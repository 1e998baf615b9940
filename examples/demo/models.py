"""The blog's tables: people with a name and a few words about themselves, and what they write."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flask_accounts import UserMixin

db = SQLAlchemy()


class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy makes the base at run time
    """A person: the accounts' own columns and two of the blog's."""

    __tablename__ = "people"

    display_name: Mapped[str] = mapped_column(sa.String(80), nullable=False, default="")
    bio: Mapped[str] = mapped_column(sa.String(500), nullable=False, default="")
    posts: Mapped[list[Post]] = relationship(back_populates="author", passive_deletes=True)

    @property
    def name(self) -> str:
        """What readers see."""
        return self.display_name or self.username or "Somebody"


def utc_now() -> datetime:
    """Naive UTC, in whole seconds: what every database keeps alike."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


class Post(db.Model):  # type: ignore[name-defined,misc]
    """Something written. It goes with its author's account: the database sees to that."""

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True)
    title: Mapped[str] = mapped_column(sa.String(120), nullable=False)
    body: Mapped[str] = mapped_column(sa.Text, nullable=False)
    published_at: Mapped[datetime] = mapped_column(sa.DateTime, nullable=False, default=utc_now)
    edited_at: Mapped[datetime | None] = mapped_column(sa.DateTime, nullable=True)
    author: Mapped[User] = relationship(back_populates="posts")
