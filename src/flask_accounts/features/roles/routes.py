"""Role administration, and PUT /{id}/roles."""

from __future__ import annotations

from ...core.errors import LastAdministrator, NotFound, PermissionDenied, RoleExists, RoleProtected
from ...core.http import Call, Reply, Route, needs
from ...core.schemas import UserSchema
from .schemas import CreateRoleSchema, RoleListSchema, RoleName, RoleSchema, UpdateRoleSchema, UserRolesSchema
from .service import Role, RoleService


def list_roles(call: Call[None]) -> Reply:
    """Every role, and every permission a role may hold."""
    service = call.runtime.get(RoleService)
    return Reply(RoleListSchema(roles=[_shown(role) for role in service.all()], permissions=service.known_permissions()))


def create_role(call: Call[CreateRoleSchema]) -> Reply:
    """A new role, with no permission beyond the caller's own."""
    body = call.body
    role = call.runtime.get(RoleService).create(
        body.name, permissions=body.permissions, description=body.description, actor=call.principal
    )
    return Reply(_shown(role), 201)


def update_role(call: Call[UpdateRoleSchema]) -> Reply:
    """Change a role's description or permissions."""
    given = call.body.model_fields_set
    role = call.runtime.get(RoleService).update(
        call.params["name"],
        permissions=call.body.permissions if "permissions" in given else None,
        description=call.body.description if "description" in given else None,
        actor=call.principal,
    )
    return Reply(_shown(role))


def delete_role(call: Call[None]) -> Reply:
    """Delete a role; whoever had it loses it."""
    call.runtime.get(RoleService).delete(call.params["name"], actor=call.principal)
    return Reply(status=204)


def set_user_roles(call: Call[UserRolesSchema]) -> Reply:
    """Give an account exactly these roles. Nobody grants or takes what he does not hold himself."""
    user = call.runtime.users.named(call.params["user_id"])
    call.runtime.get(RoleService).set(user, call.body.roles, actor=call.principal, client=call.client)
    return Reply(call.runtime.show(user.key))


def _shown(role: Role) -> RoleSchema:
    return RoleSchema(name=role.name, description=role.description, permissions=list(role.permissions))


ROUTES = (
    Route(method="GET", path="/roles", view=list_roles, access=needs("roles:read", delegates=True), answers={200: RoleListSchema}),
    Route(
        method="POST", path="/roles", view=create_role, access=needs("roles:write", delegates=True), body=CreateRoleSchema,
        answers={201: RoleSchema}, errors=(RoleExists, RoleProtected, PermissionDenied),
    ),
    Route(
        method="PATCH", path="/roles/<name>", view=update_role, params={"name": RoleName}, access=needs("roles:write", delegates=True), body=UpdateRoleSchema,
        answers={200: RoleSchema}, errors=(NotFound, RoleProtected),
    ),
    Route(
        method="DELETE", path="/roles/<name>", view=delete_role, params={"name": RoleName}, access=needs("roles:write", delegates=True),
        answers={204: None}, errors=(NotFound, RoleProtected),
    ),
    Route(
        method="PUT", path="/<user_id>/roles", view=set_user_roles, access=needs("roles:write", delegates=True), body=UserRolesSchema,
        answers={200: UserSchema}, errors=(NotFound, LastAdministrator),
    ),
)  # fmt: skip
