"""Feature: what one folder under `features/` declares, and the check that the declarations fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import click

from .checkups import Checkup
from .errors import ConfigurationError
from .events import Key, Listener
from .factors import Factor, Proof
from .gates import Acting, Bar, ChallengeMethod, Completion, EntryCheck, EntryCount, EntryPass, Fact, Gate, RefreshGate, Restore
from .http import Route
from .keys import KeySource
from .policies import PasswordCheck
from .runtime import Runtime
from .sealed_columns import SealedColumn
from .settings import Settings
from .users import GrantSource

if TYPE_CHECKING:
    from .identity import Resolver


class Service:
    """Base of feature services: business rules callable from a view, a command, a job or a test.

    They take values and return values, flush, and leave the commit to the caller.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime


class Feature:
    """Base of features. A subclass states what it brings; the assembly in `extension.py` picks it up."""

    name: ClassVar[str]
    requires: ClassVar[tuple[str, ...]] = ()
    """Names of features that must be there too; only their `service` modules may be used."""
    settings: ClassVar[tuple[type[Settings], ...]] = ()
    tables: ClassVar[dict[type, str]] = {}
    """Model mixins and the names of the tables to build of them."""
    services: ClassVar[tuple[type[Service], ...]] = ()
    auth_routes: ClassVar[tuple[Route, ...]] = ()
    users_routes: ClassVar[tuple[Route, ...]] = ()
    well_known_routes: ClassVar[tuple[Route, ...]] = ()
    """What the site has below `/.well-known` (RFC 8615)."""
    permissions: ClassVar[dict[str, str]] = {}
    """Permissions its routes ask for, each with what it allows."""
    commands: ClassVar[tuple[click.Command, ...]] = ()
    checkups: ClassVar[tuple[Checkup, ...]] = ()
    """What `flask accounts doctor` looks at in it."""

    delegates: ClassVar[bool] = False
    """With it somebody may act for an account who is not its owner in person; the OpenAPI document then says where that is refused."""
    templates: ClassVar[bool] = False
    """The package has a `templates` folder with mails."""
    mail_samples: ClassVar[Mapping[str, Any]] = {}
    """Values for previews, of what its mails show beside `token`, `code`, `link` and `minutes`."""

    models: dict[type, type]
    """The built model of each mixin in `tables`; set by the assembly before anything else is asked."""

    def grants(self) -> GrantSource | None:
        """Where roles and permissions are read from, if this feature keeps them."""
        return None

    def entry_checks(self, runtime: Runtime) -> Sequence[EntryCheck]:
        """Asked before a credential is looked at."""
        return ()

    def entry_counts(self, runtime: Runtime) -> Sequence[EntryCount]:
        """Counted in the database before a credential is looked at, after the checks."""
        return ()

    def entry_passes(self, runtime: Runtime) -> Sequence[EntryPass]:
        """Told that the credential was right."""
        return ()

    def factors(self, runtime: Runtime) -> Sequence[Factor]:
        """What it lets an account have beside its first credential. Each answers challenges and proves presence by its name."""
        return ()

    def factor_counts(self, runtime: Runtime) -> Sequence[EntryCount]:
        """As `entry_counts`, of answers to factors alone."""
        return ()

    def factor_passes(self, runtime: Runtime) -> Sequence[EntryPass]:
        """As `entry_passes`, of answers to factors alone."""
        return ()

    def proofs(self, runtime: Runtime) -> Mapping[str, Proof]:
        """Further ways to prove presence at `POST /reauthenticate`, by name, for accounts that have no second factor."""
        return {}

    def early_gates(self, runtime: Runtime) -> Sequence[Gate]:
        """Asked before the gates of all features. For what must be known before anything of the account changes."""
        return ()

    def gates(self, runtime: Runtime) -> Sequence[Gate]:
        """Asked, in order, once a credential was right."""
        return ()

    def refresh_gates(self, runtime: Runtime) -> Sequence[RefreshGate]:
        """Asked when a session is refreshed; none where there is nothing to ask."""
        return ()

    def sign_in_facts(self, runtime: Runtime) -> Mapping[str, Fact]:
        """Columns to read with the account when a sign-in finishes; gates and the like find them in `attempt.facts`."""
        return {}

    def bars(self, runtime: Runtime) -> Sequence[Bar]:
        """Whether an account is one that nobody signs in to. Asked of every way in, before restores and gates, and before mails to get in by."""
        return ()

    def restores(self, runtime: Runtime) -> Sequence[Restore]:
        """Asked before the gates: whether an account that is switched off comes back by signing in."""
        return ()

    def challenge_methods(self, runtime: Runtime) -> Mapping[str, ChallengeMethod]:
        """Ways to answer a challenge, by the name a `ChallengeRequired` calls them."""
        return {}

    def completions(self, runtime: Runtime) -> Sequence[Completion]:
        """Told of every sign-in that has passed the gates, in its transaction."""
        return ()

    def acting(self, runtime: Runtime) -> Acting | None:
        """What it says of sessions in which somebody acts in the owner's place, if it is the feature that opens them."""
        return None

    def resolvers(self, runtime: Runtime) -> Sequence[Resolver]:
        """Other ways than a session's token by which requests say who is calling."""
        return ()

    def security_schemes(self, runtime: Runtime) -> Mapping[str, Mapping[str, Any]]:
        """The same for the OpenAPI document: security schemes by name."""
        return {}

    def password_checks(self, runtime: Runtime) -> Sequence[PasswordCheck]:
        """Added to the password policy."""
        return ()

    def slow_password_checks(self, runtime: Runtime) -> Sequence[PasswordCheck]:
        """Asked last, only for passwords that are about to be set and that nothing else is wrong with: checks that cost much or ask somebody else."""
        return ()

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """Told of every event inside its transaction."""
        return ()

    def key_source(self, runtime: Runtime) -> KeySource | None:
        """Where the keys are kept that sign tokens, if this feature keeps them and `JWT_*` does not."""
        return None

    def conceals_accounts(self, runtime: Runtime) -> bool:
        """Whether registration must answer known and new addresses alike."""
        return False

    def email_change_needs_proof(self, runtime: Runtime) -> bool:
        """Whether owners change their address by proving the new one at `POST /email/change`, and in no other way."""
        return False

    def is_way_in(self, runtime: Runtime, key: Key) -> bool:
        """Whether the account's owner can sign in by what this feature keeps of it, if there is nothing else. Nobody loses the last way in."""
        return False

    def is_claimable(self, runtime: Runtime, key: Key | None) -> bool:
        """Whether anybody could have made the account by what this feature keeps of it, without a password and for an address that is not
        his: then whoever proves the address by mail may set one. Asked of nobody too (None), at the same cost.
        """
        return False

    def sealed(self, runtime: Runtime) -> Sequence[SealedColumn]:
        """What it keeps sealed in the database: `flask accounts reseal` seals it anew, and the doctor looks whether it opens."""
        return ()

    def check(self, runtime: Runtime) -> None:
        """Called once everything is plugged in. Raises `ConfigurationError` for settings that cannot work in this app."""

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Remove what this feature stores of an account that is being deleted. Done by hand because SQLite cascades only if told to."""

    def export(self, runtime: Runtime, key: Key) -> Any:
        """What this feature stores about an account, JSON-ready and without secrets, for its owner; None for nothing."""
        return None

    def purge(self, runtime: Runtime) -> int:
        """Delete rows whose time is over; returns how many."""
        return 0


def check_features(features: Sequence[Feature]) -> None:
    """Refuse two features of one name and a feature whose requirement is missing."""
    for feature in features:
        if not isinstance(feature, Feature):
            raise ConfigurationError(
                f"{feature!r} is not a feature. Pass objects of feature classes: Accounts(features=[Password(), ...])."
            )
    names = [feature.name for feature in features]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"The feature {name!r} is given twice; leave one out.")
    for feature in features:
        missing = [name for name in feature.requires if name not in names]
        if missing:
            raise ConfigurationError(
                f"The feature {feature.name!r} needs {', '.join(missing)}: add it to Accounts(features=[...])."
            )
