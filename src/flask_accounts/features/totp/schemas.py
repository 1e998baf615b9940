"""What the routes of authenticator apps take and show."""

from __future__ import annotations

from pydantic import Field

from ...core.schemas import ABSENT, Input, Output


class SignInEnrolmentSchema(Input):
    """The sign-in that waits for a second factor."""

    challenge_token: str = Field(max_length=128)


class EnrolmentSchema(Output):
    """A secret to be put into an authenticator app; shown this once."""

    secret: str = Field(examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
    """For who types it (base 32)."""
    uri: str = Field(examples=["otpauth://totp/Shop:ann@example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Shop"])
    """For an app on the same device."""
    qr_svg: str = Field(examples=['<svg xmlns="http://www.w3.org/2000/svg"></svg>'])
    """The same as a QR code, an SVG image."""
    expires_in: int
    """Seconds that the secret waits for its first code."""


class TotpCodeSchema(Input):
    """The first code."""

    code: str = Field(max_length=16)


class ConfirmedSchema(Output):
    """The app is set up."""

    recovery_codes: list[str] | None = Field(default=None, json_schema_extra={ABSENT: True})
    """Shown this once; absent if the account has recovery codes already."""
