# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, and what is looked at in every page.

The browser is the distribution's, driven by Playwright; axe-core comes from
npm once, in one version.  Nothing of the project is known here.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import shutil
import subprocess
import unittest
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from playwright import sync_api

from tests.acceptance import environment

AXE = 'axe-core@4.14.1'
_SERIOUS = ('serious', 'critical')
_PATIENCE_MS = 60_000

# Text that people see or hear, but for what is marked as another language.
_SPOKEN = """
(root, language) => {
  const found = [];
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_ALL);
  for (let node = walk.currentNode; node; node = walk.nextNode()) {
    const element = node.nodeType === 1 ? node : node.parentElement;
    if (element.closest('code, script, style')) continue;
    const said = element.closest('[lang]');
    if (said && said.lang !== language) continue;
    if (node.nodeType === 3) found.push(node.data);
    else if (node.nodeType === 1)
      for (const name of ['aria-label', 'title', 'placeholder'])
        if (node.hasAttribute(name)) found.push(node.getAttribute(name));
  }
  return found.map(text => text.replace(/\\s+/g, ' ').trim())
              .filter(text => text);
}
"""

_AXE_RUN = """
async where => {
  const found = await axe.run(document, {resultTypes: ['violations']});
  return found.violations.flatMap(one => one.nodes.map(node => ({
    id: one.id, impact: one.impact, html: node.html,
    why: node.failureSummary,
    inside: !!document.querySelector(node.target[0])?.closest(where)})));
}
"""
# In brackets in the heading of the column, or in words in the caption.
_UNIT = """
element => {
  const cell = element.closest('td');
  if (!cell) return null;
  const table = cell.closest('table');
  const head = table.tHead.rows[0].cells[cell.cellIndex].textContent;
  const found = head.match(/\\(([^)]*)\\)$/);
  if (found) return found[1];
  return table.caption ? table.caption.textContent.split(' ').pop() : null;
}
"""


def unit(cell: Any) -> str:
    """What the heading or the caption of a cell's table says of its unit."""
    found: str | None = cell.evaluate(_UNIT)
    return found or ''


def required(test: unittest.TestCase) -> str:
    """Where Chromium is.

    Skips the test where there is none, or fails it where it must be.
    """
    found = shutil.which('chromium') or shutil.which('chromium-browser')
    if found:
        return found
    reason = 'no chromium: install what bindep.txt lists for tests'
    if os.environ.get('CI') or os.environ.get('EA_TEST_REQUIRE'):
        test.fail(reason)
    test.skipTest(reason)


def axe() -> pathlib.Path:
    """The script of axe-core, fetched if it is not there."""
    where = environment.cache() / 'axe-core'
    script = where / 'package/axe.min.js'
    stamp = where / 'version'
    with environment.alone(environment.cache() / 'axe-core.lock'):
        if not stamp.exists() or stamp.read_text() != AXE:
            shutil.rmtree(where, ignore_errors=True)
            where.mkdir(parents=True)
            run = {'cwd': where, 'check': True, 'capture_output': True}
            subprocess.run([_npm(), 'pack', '--silent', AXE], **run)
            (archive,) = where.glob('*.tgz')
            shutil.unpack_archive(archive, where)
            stamp.write_text(AXE)
    return script


def _npm() -> str:
    """The machine's npm, or one from the package index."""
    found = shutil.which('npm')
    return found or str(environment.installed('npm') / 'npm')


class Browser:
    """Who looks, and all that went wrong meanwhile.

    :ivar faults: errors of the console, and requests that failed.
    """

    def __init__(self, browser: Any, url: str) -> None:
        self._browser = browser
        self.url = url
        self.faults: list[str] = []

    def sign_in(self, user: str, password: str, path: str,
                **cookies: str) -> Page:
        """A page of somebody who has just signed in."""
        context = self._browser.new_context(
            viewport={'width': 1280, 'height': 900})
        context.set_default_timeout(_PATIENCE_MS)
        page = Page(self, context)
        page.prefer(**cookies)
        page.tab.goto(f'{self.url}/auth/login/?next={path}')
        page.tab.fill('#id_username', user)
        page.tab.fill('#id_password', password)
        page.tab.click('#loginBtn')
        page.tab.wait_for_selector('#content_body')
        return page


class Page:
    """A tab of one user."""

    def __init__(self, browser: Browser, context: Any) -> None:
        self._browser = browser
        self._context = context
        self.tab = context.new_page()
        faults = browser.faults
        self.tab.on('pageerror', lambda error: faults.append(
            f'{self.tab.url}: {error}'))
        self.tab.on('console', lambda message: faults.append(
            f'{self.tab.url}: {message.text}')
            if message.type == 'error' else None)
        self.tab.on('response', lambda answer: faults.append(
            f'{answer.status} {answer.url}')
            if answer.status >= 400 else None)

    def prefer(self, **cookies: str) -> None:
        """Horizon's own settings: ``theme``, ``horizon_language``, ..."""
        self._context.add_cookies([
            {'name': name, 'value': value, 'url': self._browser.url}
            for name, value in cookies.items()])

    def go(self, path: str) -> None:
        self.tab.goto(self._browser.url + path)

    def restyle(self, styles: Mapping[str, pathlib.Path]) -> None:
        """Take these style sheets from now on, each in place of a name."""
        self.tab.unroute_all()
        for name, path in styles.items():
            self.tab.route(f'**/{name}', functools.partial(_styled, path))

    def ground(self) -> int:
        """How bright the page is behind its content, from 0 to 255."""
        return int(self.tab.evaluate("""() => {
            const found = getComputedStyle(document.body).backgroundColor
              .match(/[0-9]+/g).map(Number);
            return found.reduce((one, other) => one + other) / found.length;
        }"""))

    def download(self, where: str) -> bytes:
        """The file that a link leads to."""
        with self.tab.expect_download() as started:
            self.tab.click(where)
        return pathlib.Path(started.value.path()).read_bytes()

    def show(self, width: int, media: str = 'screen') -> None:
        """Look at it in a window of this width, or on paper."""
        self.tab.set_viewport_size({'width': width, 'height': 900})
        self.tab.emulate_media(media=media)

    def picture(self, path: pathlib.Path) -> None:
        self.tab.screenshot(path=path, full_page=True)

    def spoken(self, where: str, language: str) -> list[str]:
        """Texts, labels and titles in an element that are of a language.

        Those of which nothing says it are taken to be.
        """
        found: list[str] = self.tab.locator(where).evaluate(_SPOKEN, language)
        return found

    def text(self, where: str) -> str:
        return str(self.tab.locator(where).first.inner_text())

    def texts(self, where: str) -> list[str]:
        found: list[str] = self.tab.locator(where).all_inner_texts()
        return found

    def titles(self, where: str) -> list[str]:
        return [one.get_attribute('title') or ''
                for one in self.tab.locator(where).all()]

    def count(self, where: str) -> int:
        return int(self.tab.locator(where).count())

    def violations(self, where: str,
                   known: Collection[str] = ()) -> list[str]:
        """What axe-core finds serious in the page.

        :param known: rules that are not kept outside this element.
        """
        if not self.tab.evaluate('"axe" in window'):
            self.tab.add_script_tag(path=axe())
        found = self.tab.evaluate(_AXE_RUN, where)
        return [f'{self.tab.url}: {one["id"]}: {one["html"]} {one["why"]}'
                for one in found if one['impact'] in _SERIOUS
                and (one['inside'] or one['id'] not in known)]

    def wider_than_window(self) -> bool:
        """Whether the page itself must be moved sideways."""
        return bool(self.tab.evaluate(
            'document.documentElement.scrollWidth > innerWidth'))

    def close(self) -> None:
        self._context.close()


def _styled(path: pathlib.Path, route: Any) -> None:
    route.fulfill(path=path, content_type='text/css')


@contextlib.contextmanager
def opened(executable: str, url: str) -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable, args=['--no-sandbox',
                                              '--disable-gpu'])
        try:
            yield Browser(chromium, url)
        finally:
            chromium.close()
