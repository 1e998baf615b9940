from tests.conftest import Site, bearer


def test_a_person_signs_in_and_sees_the_own_account_in_one_statement(site: Site) -> None:
    ann = site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]
    site.statements.clear()

    answer = site.client.get("/api/auth/me", headers=bearer(token))

    assert answer.status_code == 200
    assert answer.get_json()["id"] == ann.id
    assert len(site.statements) == 1
