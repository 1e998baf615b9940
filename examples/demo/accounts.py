"""The accounts system as the blog wants it: its own user class and the shapes that go with it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from flask_accounts import Accounts, RegisterSchema, UpdateUserSchema, UserSchema, default_features
from flask_accounts.features.api_keys import ApiKeys
from flask_accounts.features.magic_link import MagicLink
from flask_accounts.features.oidc import Oidc
from flask_accounts.features.passkeys import Passkeys

from . import posts
from .config import PROVIDERS
from .models import User, db

DisplayName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=80)]
Bio = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]


class Register(RegisterSchema):
    """A new person."""

    display_name: DisplayName = ""


class UpdateUser(UpdateUserSchema):
    """What people change of themselves."""

    # Factories and not defaults: null is no name.
    display_name: DisplayName = Field(default_factory=str)
    bio: Bio = Field(default_factory=str)


class ShownUser(UserSchema):
    """A person as that person and administrators see it."""

    display_name: str
    bio: str


accounts = Accounts(
    db,
    user_model=User,
    features=[*default_features(), MagicLink(), ApiKeys(), Oidc(PROVIDERS), Passkeys()],
    schemas={RegisterSchema: Register, UpdateUserSchema: UpdateUser, UserSchema: ShownUser},
    exporters={"posts": posts.export},
)
