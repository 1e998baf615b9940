"""/api-keys for one's own, /users/{id}/api-keys and /users/service-accounts for administrators.

None of them is open to keys: a key makes no keys, sees none and ends none (ASVS 7.2.2).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ...core.errors import ApiKeyLimit, NotFound, PermissionDenied, UsernameTaken
from ...core.http import RECENTLY, Call, Reply, Route, needs
from ...core.users import UserView
from ..roles.service import RoleService
from .schemas import (
    ApiKeyListSchema,
    ApiKeySchema,
    CreatedApiKeySchema,
    NewApiKeySchema,
    NewServiceAccountSchema,
    ServiceAccountListSchema,
    ServiceAccountSchema,
)
from .service import ApiKey, ApiKeyService
from .service_accounts import ServiceAccountService


def list_api_keys(call: Call[None]) -> Reply:
    """The own API keys."""
    return _listed(call, call.principal.user_id)


def create_api_key(call: Call[NewApiKeySchema]) -> Reply:
    """Make an API key. It is shown in this answer and never again."""
    return _created(call, call.principal.user)


def revoke_api_key(call: Call[None]) -> Reply:
    """End one of the own API keys, at once."""
    _revoke(call, call.principal.user_id)
    return Reply(status=204)


def list_user_api_keys(call: Call[None]) -> Reply:
    """An account's API keys."""
    return _listed(call, call.runtime.users.named(call.params["user_id"]).key)


def create_user_api_key(call: Call[NewApiKeySchema]) -> Reply:
    """Make an API key for the account of a program. People make their own."""
    user = _target(call)
    if not call.runtime.get(ServiceAccountService).is_one(user):
        raise PermissionDenied("Keys of people are made by themselves.")
    return _created(call, user)


def revoke_user_api_key(call: Call[None]) -> Reply:
    """End an API key of an account of no more power than one's own."""
    _revoke(call, _target(call).key)
    return Reply(status=204)


def list_service_accounts(call: Call[None]) -> Reply:
    """The accounts that programs use."""
    found = call.runtime.get(ServiceAccountService).all()
    schema = call.runtime.schemas.get(ServiceAccountListSchema)
    return Reply(schema.model_validate({"service_accounts": found}, from_attributes=True))


def create_service_account(call: Call[NewServiceAccountSchema]) -> Reply:
    """Make an account that a program uses by API keys, and that nobody signs in to. It has no roles yet."""
    service, body = call.runtime.get(ServiceAccountService), call.body
    view = service.create(body.name, description=body.description, actor=call.principal, client=call.client)
    shown = {
        "id": view.key,
        "name": view.username,
        "description": body.description,
        "is_active": True,
        "created_at": view.created_at,
    }
    return Reply(call.runtime.schemas.get(ServiceAccountSchema).model_validate(shown), 201)


def _target(call: Call[Any]) -> UserView:
    user = call.runtime.users.named(call.params["user_id"])
    call.runtime.get(RoleService).may_act_on(call.principal, user)
    return user


def _listed(call: Call[Any], owner: Any) -> Reply:
    keys = [_shown(call, key) for key in call.runtime.get(ApiKeyService).of(owner)]
    return Reply(call.runtime.schemas.get(ApiKeyListSchema).model_validate({"api_keys": keys}))


def _created(call: Call[NewApiKeySchema], user: UserView) -> Reply:
    body, principal = call.body, call.principal
    made = call.runtime.get(ApiKeyService).create(
        user, body.name, scopes=body.scopes, expires_at=body.expires_at,
        endless=body.expires_at is None and "expires_at" in body.model_fields_set, networks=body.networks, limit=body.limit,
        actor=principal, session_id=principal.session_id, client=call.client,
    )  # fmt: skip
    shown = _shown(call, made.key).model_dump() | {"key": made.secret}
    return Reply(call.runtime.schemas.get(CreatedApiKeySchema).model_validate(shown), 201)


def _revoke(call: Call[None], owner: Any) -> None:
    call.runtime.get(ApiKeyService).revoke(owner, _key_id(call), actor_id=call.principal.user_id, client=call.client)


def _shown(call: Call[Any], key: ApiKey) -> ApiKeySchema:
    return call.runtime.schemas.get(ApiKeySchema).model_validate(key)


def _key_id(call: Call[None]) -> UUID:
    try:
        return UUID(call.params["key_id"])
    except ValueError:
        raise NotFound from None


PATH = {"key_id": UUID}

AUTH_ROUTES = (
    Route(method="GET", path="/api-keys", view=list_api_keys, answers={200: ApiKeyListSchema}),
    Route(
        method="POST", path="/api-keys", view=create_api_key, access=RECENTLY, body=NewApiKeySchema,
        answers={201: CreatedApiKeySchema}, errors=(ApiKeyLimit, NotFound),
    ),
    Route(
        method="DELETE", path="/api-keys/<key_id>", view=revoke_api_key, params=PATH, answers={204: None}, errors=(NotFound,),
    ),
)  # fmt: skip

USERS_ROUTES = (
    Route(
        method="GET", path="/service-accounts", view=list_service_accounts, access=needs("users:read"),
        answers={200: ServiceAccountListSchema},
    ),
    Route(
        method="POST", path="/service-accounts", view=create_service_account, access=needs("users:write", fresh=True),
        body=NewServiceAccountSchema, answers={201: ServiceAccountSchema}, errors=(UsernameTaken,),
    ),
    Route(
        method="GET", path="/<user_id>/api-keys", view=list_user_api_keys, access=needs("users:read"),
        answers={200: ApiKeyListSchema}, errors=(NotFound,),
    ),
    Route(
        method="POST", path="/<user_id>/api-keys", view=create_user_api_key, access=needs("users:write", fresh=True),
        body=NewApiKeySchema, answers={201: CreatedApiKeySchema}, errors=(NotFound, ApiKeyLimit),
    ),
    Route(
        method="DELETE", path="/<user_id>/api-keys/<key_id>", view=revoke_user_api_key, access=needs("users:write"), params=PATH,
        answers={204: None}, errors=(NotFound,),
    ),
)  # fmt: skip
