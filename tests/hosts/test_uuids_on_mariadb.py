"""UUIDs on MariaDB have one form, whatever made the tables: SQLAlchemy 2.0, or 2.1, which knows a type of their own there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from tests.conftest import MakeSite, bearer


@pytest.mark.parametrize("dialect", ["mysql", "mariadb"])
def test_a_session_is_found_in_a_table_that_sqlalchemy_2_0_has_made(
    dialect: str, make_site: MakeSite, server_urls: Callable[[str], str]
) -> None:
    url = sa.make_url(server_urls("mariadb")).set(drivername=f"{dialect}+pymysql").render_as_string(hide_password=False)
    site = make_site(url=url)
    with site.app.app_context():
        # What 2.0 makes of sa.Uuid; where the column has that form already, nothing happens.
        site.db.session.execute(sa.text("ALTER TABLE accounts_sessions MODIFY id CHAR(32) NOT NULL"))
        site.db.session.commit()
    site.user("ann@example.com")

    tokens = site.tokens("ann@example.com")

    assert site.client.get("/api/auth/me", headers=bearer(tokens["access_token"])).status_code == 200
    assert site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"])).status_code == 200
