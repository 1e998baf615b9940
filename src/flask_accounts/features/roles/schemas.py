"""What the role routes take and show."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...core.schemas import Input, Output
from .service import ROLE_NAME

RoleName = Annotated[str, Field(pattern=ROLE_NAME.pattern)]
"""Lower-case letters, digits, `_`, `.` and `-`."""
Existing = Annotated[str, Field(max_length=64, json_schema_extra={"format": "role"})]
"""The name of a role there is."""
Known = Annotated[str, Field(max_length=64, json_schema_extra={"format": "permission"})]
"""A permission that `GET /roles` lists, such as `posts:publish`, or `*` for every one."""


class RoleSchema(Output):
    """A role."""

    name: str
    description: str
    permissions: list[str]


class RoleListSchema(Output):
    """Every role, by name, and every permission there is."""

    roles: list[RoleSchema]
    permissions: dict[str, str]
    """Permission to what it allows."""


class CreateRoleSchema(Input):
    """A role to be."""

    name: RoleName
    description: str = Field(default="", max_length=255)
    permissions: list[Known] = Field(default_factory=list, max_length=200)


class UpdateRoleSchema(Input):
    """What to change of a role; its name stays."""

    description: str = Field(default_factory=str, max_length=255)
    permissions: list[Known] = Field(default_factory=list, max_length=200)


class UserRolesSchema(Input):
    """All roles the account shall have."""

    roles: list[Existing] = Field(max_length=50)
