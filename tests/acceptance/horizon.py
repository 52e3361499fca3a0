# SPDX-License-Identifier: Apache-2.0
"""A real Horizon with the panels installed as its documentation says.

Horizon runs in its own virtual environment, which stays as it is: a tree of
links beside it has the settings and the copied files.  Only how it is set up
and served; what people see is the matter of the tests.
"""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import energy_accounting
from tests import servers
from tests.acceptance import cloud, environment

PACKAGE = pathlib.Path(energy_accounting.__file__).parent
PANELS = PACKAGE / 'dashboard'
TIME_ZONE = 'Europe/Berlin'

_SETTINGS = """
DEBUG = False
ALLOWED_HOSTS = ['{address}']
WEBROOT = '/'
SECRET_KEY = 'of a test, and not a secret'
LOCAL_PATH = '{path}'
STATIC_ROOT = '{path}/static'
COMPRESS_OFFLINE = COMPRESS_ENABLED = True
SESSION_ENGINE = 'django.contrib.sessions.backends.cache'
CACHES = {{'default': {{
    'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}}}}
OPENSTACK_HOST = '{address}'
OPENSTACK_KEYSTONE_URL = '{keystone}'
OPENSTACK_KEYSTONE_DEFAULT_DOMAIN = '{domain}'
TIME_ZONE = '{zone}'
ENERGY_ACCOUNTING_TIMEOUT = 60  # other tests take the processors
import os
DEFAULT_THEME = os.environ.get('EA_TEST_THEME', 'default')
AVAILABLE_THEMES = [(name, name, 'themes/' + name)
                    for name in ('default', '{dark}')]
SELECTABLE_THEMES = [one for one in AVAILABLE_THEMES
                     if one[0] == DEFAULT_THEME]
"""
DARK = 'dark'
# Horizon brings no dark theme, but what its documentation makes one of.
_DARK_STYLES = {
    '_variables.scss': """
$web-font-path: 'data:text/css,';
@import "/horizon/lib/bootswatch/darkly/variables";
@import "/themes/default/variables";
""",
    '_styles.scss': """
@import "/horizon/lib/bootstrap_scss/scss/bootstrap/mixins/vendor-prefixes";
@import "/horizon/lib/bootswatch/darkly/bootswatch";
"""}
_SERVE = """
import waitress
from django.contrib.staticfiles.handlers import StaticFilesHandler
from openstack_dashboard.wsgi import application
waitress.serve(StaticFilesHandler(application), listen='{address}',
               threads=4)
"""


class Horizon(servers.Server):
    """Horizon on a free port, served by waitress.

    :param keystone: its URL.
    :param domain: the name of that of those who sign in.
    :ivar dark: the style sheets of a dark theme, by the name of those that
        they stand in for.
    """

    name = 'horizon'

    def __init__(self, where: pathlib.Path, keystone: str,
                 domain: str) -> None:
        self.keystone, self.domain = keystone, domain
        super().__init__(where)

    def prepare(self) -> None:
        self.port = servers.free_port()
        self.url = f'http://{servers.LOOPBACK}:{self.port}'
        self.bin = environment.installed('horizon')
        self._tree()
        self.environment_ = {
            'PYTHONPATH': f'{self.path}{os.pathsep}{PACKAGE.parent}',
            'DJANGO_SETTINGS_MODULE': 'openstack_dashboard.settings',
            'PYTHONWARNINGS': 'ignore', 'PYTHONDONTWRITEBYTECODE': '1'}
        self._manage('collectstatic --noinput --link -v0')
        # Made beforehand, the styles of several themes share their names.
        dark, light = (self._styles(theme) for theme in (DARK, 'default'))
        self.dark = {name: self.path / 'static/dashboard/css' / dark[key]
                     for key, name in light.items() if name != dark[key]}

    def _styles(self, theme: str) -> dict[str, str]:
        """The names of the style sheets of a theme, each by its key."""
        self._manage('compress --force -v0', EA_TEST_THEME=theme)
        found = json.loads((self.path / 'static/dashboard/manifest.json')
                           .read_text())
        return {key: name for key, text in found.items()
                for name in re.findall(r'css/(output\.\w+\.css)', text)}

    def _manage(self, words: str, **more: str) -> None:
        self.run('env', *(f'{name}={value}' for name, value
                          in {**self.environment_, **more}.items()),
                 str(self.bin / 'python'), '-m', 'django', *words.split())

    def _tree(self) -> None:
        """``openstack_dashboard`` of links, with a ``local`` of its own."""
        found = subprocess.run(
            [self.bin / 'python', '-c', 'import importlib.util as u; '
             'print(u.find_spec("openstack_dashboard").origin)'],
            capture_output=True, text=True, check=True)
        installed = pathlib.Path(found.stdout.strip()).parent
        ours = self.path / 'openstack_dashboard'
        ours.mkdir()
        for child in installed.iterdir():
            if child.name not in ('local', 'themes'):
                (ours / child.name).symlink_to(child)
        themes = ours / 'themes'
        themes.mkdir()
        (themes / 'default').symlink_to(installed / 'themes/default')
        (themes / DARK).mkdir()
        for name, text in _DARK_STYLES.items():
            (themes / DARK / name).write_text(text)
        local = ours / 'local'
        shutil.copytree(installed / 'local', local,
                        ignore=shutil.ignore_patterns('__pycache__'))
        (local / 'local_settings.py').write_text(_SETTINGS.format(
            address=servers.LOOPBACK, path=self.path,
            keystone=self.keystone, domain=self.domain, zone=TIME_ZONE,
            dark=DARK))
        for folder in ('enabled', 'local_settings.d'):
            for path in (PANELS / folder).glob('_[0-9]*.py'):
                shutil.copy(path, local / folder)

    def launch(self) -> None:
        self.spawn(*cloud.DIE_TOGETHER, str(self.bin / 'python'), '-c',
                   _SERVE.format(address=f'{servers.LOOPBACK}:{self.port}'),
                   env=self.environment_)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f'{self.url}/auth/login/',
                                        timeout=30):
                return True
        except (OSError, urllib.error.URLError):
            return False


class Compute:
    """The names of servers, as Nova lists them; nothing else of it."""

    def __init__(self, names: dict[str, str]) -> None:
        listed = [{'id': ident, 'name': name}
                  for ident, name in sorted(names.items())]

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urllib.parse.urlsplit(self.path).path
                found: Any = {'servers': listed}
                self.send_response(200 if path == '/servers' else 404)
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            def log_message(self, *_words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(
            (servers.LOOPBACK, 0), Handler)
        self.url = f'http://{servers.LOOPBACK}:{self.server.server_port}'
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
