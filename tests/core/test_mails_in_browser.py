"""Every mail in a real browser, light and dark, on a phone and on a desk: all of it fits and can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts, default_features, opt_in_features
from flask_accounts.core.letters import Letters, languages
from flask_accounts.core.mail import Message
from tests.browser import chromium
from tests.conftest import KEY

__all__ = ["chromium"]

PHONE, DESK = 390, 800
BASE_URL = "https://accounts.a-company-with-a-long-name.example.com/people/" + "path-that-does-not-end/" * 6
LONG = {"product": "Anunusuallylongproductnamewithoutasingleblanktobreakitat" * 2, "to": "a" * 60 + "@" + "b" * 60 + ".example.com"}

LOOK = """
() => {
  const problems = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) problems.push(`the page is ${document.documentElement.scrollWidth} px wide`);
  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    if (box.width && (box.right > width + 0.5 || box.left < -0.5)) problems.push(`${element.outerHTML.slice(0, 60)} sticks out`);
    if (box.width && element.scrollWidth > element.clientWidth + 1 && element.clientWidth) problems.push(`${element.outerHTML.slice(0, 60)} overflows`);
  }
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = parts(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return [r, g, b];
      if (alpha > 0) problems.push("half transparent");
    }
    problems.push("no background at all");
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let read = 0;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.getClientRects().length) continue;
    read += 1;
    const [light, dark] = [luminance(parts(getComputedStyle(element).color)), luminance(ground(element))].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) problems.push(`${texts.currentNode.data.trim().slice(0, 40)}: contrast ${contrast.toFixed(2)}`);
  }
  if (read < 4) problems.push("there is hardly any text to be seen");
  for (const button of document.querySelectorAll("a.button")) {
    const box = button.getBoundingClientRect();
    if (box.height < 44 || box.width < 120) problems.push(`the button is ${box.width} by ${box.height} px`);
  }
  return { problems, ground: luminance(ground(document.body)), column: document.querySelector(".card").getBoundingClientRect().width };
}
"""


@pytest.fixture(scope="module")
def letters() -> Letters:
    """Of an app with every feature there is."""
    app = Flask("The shop")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY, ACCOUNTS_MAIL_BASE_URL=BASE_URL)
    accounts = Accounts(SQLAlchemy(), app, features=[*default_features(), *opt_in_features()])
    with app.app_context():
        return accounts.runtime.letters


def mails(letters: Letters) -> Iterator[tuple[str, Message]]:
    """Every mail in every language; then each with long names and from right to left; then each without a link."""
    for name in letters.names():
        for language in languages():
            yield f"{name} ({language})", letters.sample(name, language=language)
        yield f"{name} (long, from right to left)", letters.sample(name, language="he", **LONG)
        yield f"{name} (no link)", letters.sample(name, link=None)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_every_mail_fits_and_can_be_read(chromium: Any, letters: Letters, scheme: str, width: int) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    wrong, seen = {}, 0
    for name, mail in mails(letters):
        if mail.html is None:
            continue
        page.set_content(mail.html)
        found = page.evaluate(LOOK)
        seen += 1
        if (found["ground"] > 0.5) != (scheme == "light"):
            found["problems"].append(f"the ground is not {scheme}")
        if found["column"] > 560:
            found["problems"].append(f"the column is {found['column']} px wide")
        if found["problems"]:
            wrong[name] = found["problems"]
    page.close()

    assert wrong == {}
    assert seen >= 7 * 5
    assert requests == []  # nothing is loaded: no image, no font, nobody who counts the readers


def test_without_the_style_sheet_a_mail_still_looks_like_itself(chromium: Any, letters: Letters) -> None:
    html = letters.sample("verify_email").html
    assert html is not None
    page = chromium.new_page(viewport={"width": PHONE, "height": 700})
    page.set_content(html[: html.index("<style>")] + html[html.index("</style>") :])
    found = page.evaluate(LOOK)
    code = page.eval_on_selector(".code", "code => [code.textContent, parseFloat(getComputedStyle(code).fontSize)]")
    page.close()

    assert found["problems"] == []
    assert code[0] == "12345678"
    assert code[1] >= 24
