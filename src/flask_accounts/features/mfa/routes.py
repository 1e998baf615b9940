"""GET /mfa, recovery codes, remembered devices, and an administrator's DELETE /{id}/mfa."""

from __future__ import annotations

from uuid import UUID

from ...core.binding import Binding, takes_body
from ...core.errors import FactorMissing, NotFound, PermissionDenied, ReauthenticationRequired
from ...core.gates import MULTI_FACTOR
from ...core.http import DEVICE, RECENTLY, Access, Call, Reply, Route
from ...core.identity import require_methods
from ..roles.service import RoleService
from .devices import RememberedDevices
from .recovery import NAME as RECOVERY
from .recovery import RecoveryCodes
from .schemas import DeviceListSchema, HeldFactorSchema, MfaSchema, NewDeviceSchema, RecoveryCodesSchema, RememberedDeviceSchema
from .service import MfaService
from .settings import MfaSettings

COOKIE = Binding(DEVICE)


def show_mfa(call: Call[None]) -> Reply:
    """The own second factors."""
    runtime, user = call.runtime, call.principal.user
    mfa = runtime.get(MfaService)
    held, required = mfa.factors(user), mfa.required(user)
    return Reply(
        MfaSchema(
            enabled=bool(held), required=required, enrol_by=mfa.deadline(user) if required and not held else None,
            factors=[HeldFactorSchema(name=name, since=since) for name, since in held.items() if name != RECOVERY],
            available=[factor.name for factor in runtime.factors.values() if not factor.backup],
            recovery_codes=runtime.get(RecoveryCodes).left(user.key) if held else 0,
            remember_devices_for=int(runtime.setting(MfaSettings).remember_for.total_seconds()),
        )
    )  # fmt: skip


def make_recovery_codes(call: Call[None]) -> Reply:
    """Make new recovery codes; the older ones are void. They are shown this once."""
    codes = call.runtime.get(MfaService).new_codes(call.principal.user_id, call.client)
    return Reply(RecoveryCodesSchema(recovery_codes=codes), 201)


def list_devices(call: Call[None]) -> Reply:
    """The own devices that are not asked for a second factor."""
    found = call.runtime.get(RememberedDevices).of(call.principal.user_id)
    return Reply(DeviceListSchema(devices=[RememberedDeviceSchema.model_validate(device) for device in found]))


def remember_device(call: Call[None]) -> Reply:
    """Do not ask for a second factor on this device for a while. By a session that has just shown both factors."""
    require_methods(call.principal, (MULTI_FACTOR,))
    secret, made = call.runtime.get(RememberedDevices).remember(call.principal.user_id, call.client)
    body = NewDeviceSchema.model_validate(made)
    if takes_body(call):
        body.device_token = secret
    lifetime = call.runtime.setting(MfaSettings).remember_for
    return Reply(
        body.model_dump(mode="json", exclude=None if takes_body(call) else {"device_token"}),
        201,
        decorate=COOKIE.keep(secret, lifetime),
    )


def forget_device(call: Call[None]) -> Reply:
    """Have one device asked again."""
    try:
        device_id = UUID(call.params["device_id"])
    except ValueError:
        raise NotFound from None
    key = call.principal.user_id
    call.runtime.get(RememberedDevices).forget(key, device_id, actor_id=key, client=call.client)
    return Reply(status=204)


def forget_devices(call: Call[None]) -> Reply:
    """Have all devices asked again."""
    key = call.principal.user_id
    call.runtime.get(RememberedDevices).forget_all(key, actor_id=key, client=call.client)
    return Reply(status=204, decorate=COOKIE.drop)


def reset_mfa(call: Call[None]) -> Reply:
    """Take every second factor from an account of no more power than one's own, for an owner who has lost them; its sessions end, and
    the owner is told.
    """
    user = call.runtime.users.named(call.params["user_id"])
    call.runtime.get(RoleService).may_act_on(call.principal, user)
    call.runtime.get(MfaService).reset(user, actor_id=call.principal.user_id, client=call.client)
    return Reply(status=204)


ROUTES = (
    Route(method="GET", path="/mfa", view=show_mfa, access=Access(impersonated=True), answers={200: MfaSchema}),
    Route(
        method="POST", path="/mfa/recovery-codes", view=make_recovery_codes, access=RECENTLY,
        answers={201: RecoveryCodesSchema}, errors=(FactorMissing,),
    ),
    Route(method="GET", path="/mfa/devices", view=list_devices, answers={200: DeviceListSchema}),
    Route(
        method="POST", path="/mfa/devices", view=remember_device, access=RECENTLY,
        answers={201: NewDeviceSchema}, errors=(NotFound, ReauthenticationRequired),
    ),
    Route(method="DELETE", path="/mfa/devices", view=forget_devices, answers={204: None}),
    Route(
        method="DELETE", path="/mfa/devices/<device_id>", view=forget_device, params={"device_id": UUID},
        answers={204: None}, errors=(NotFound,),
    ),
)  # fmt: skip

USERS_ROUTES = (
    Route(
        method="DELETE", path="/<user_id>/mfa", view=reset_mfa, access=Access(fresh=True, permissions=("users:write",)),
        answers={204: None}, errors=(NotFound, PermissionDenied),
    ),
)  # fmt: skip
