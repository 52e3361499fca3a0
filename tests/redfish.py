# SPDX-License-Identifier: Apache-2.0
"""Real Redfish services as processes of their own, over TLS.

Both are of sushy-tools, the emulators that Ironic is tested with:

``Emulator``, its ``sushy-emulator`` with the fake driver: service root,
Systems, Managers, Chassis with Thermal, basic authentication against a file
of bcrypt hashes.  It has no sessions and nothing of energy or power: those
resources are put behind its authentication by its configuration file,
which is Python.

``Static``, its ``sushy-static``: any resource as a file (DSP2043), nothing
else; no authentication, HTTP/1.0, one request at a time.

Both answer what is in the files of a mockup at that moment, so that a test
moves a counter by writing a file.
"""

from __future__ import annotations

import contextlib
import datetime
import http.client
import ipaddress
import json
import os
import pathlib
import signal
import ssl
import subprocess
import sys
import time
from typing import Any

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from tests import servers

ROOT = '/redfish/v1'
USER = 'energy'
_START_SECONDS = 30

# The emulator runs this: its routes and its authentication are there then.
_CONFIGURATION = """
import json, pathlib
import flask
from sushy_tools.emulator.main import app

SUSHY_EMULATOR_AUTH_FILE = {users!r}
SUSHY_EMULATOR_CHASSIS = [{{
    'Id': '1', 'Name': 'Node', 'UUID': {uuid!r}}}]
MOCKUP = pathlib.Path({mockup!r})

@app.after_request
def with_links(answer):
    name = MOCKUP / flask.request.path.strip('/') / 'links.json'
    if answer.status_code == 200 and name.exists():
        body = answer.get_json() | json.loads(name.read_text())
        answer.set_data(json.dumps(body))
    return answer

@app.route('/redfish/v1/Chassis/<identity>/<path:rest>')
def of_energy(identity, rest):
    name = MOCKUP / flask.request.path.strip('/') / 'index.json'
    if not name.exists():
        flask.abort(404)
    return flask.Response(name.read_text(), mimetype='application/json')
"""


class Authority:
    """A throw-away CA."""

    def __init__(self, where: pathlib.Path) -> None:
        self._where = where
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(
            oid.NameOID.COMMON_NAME, 'a CA of a test')])
        self.file = where / 'ca.pem'
        self.file.write_bytes(_pem(self._builder(
            self._name, self._key, ca=True).sign(self._key, hashes.SHA256())))

    def issue(self, name: str, host: str = servers.LOOPBACK,
              ) -> tuple[pathlib.Path, pathlib.Path]:
        """The files of a certificate for a host and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([x509.NameAttribute(
            oid.NameOID.COMMON_NAME, name)]), key).add_extension(
            x509.SubjectAlternativeName([_alternative(host)]), False)
        found = self._where / f'{name}.pem', self._where / f'{name}.key'
        found[0].write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))
        found[1].write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        return found

    def _builder(self, subject: x509.Name, key: Any, *,
                 ca: bool = False) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (x509.CertificateBuilder()
                .subject_name(subject).issuer_name(self._name)
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(hours=1))
                .not_valid_after(now + datetime.timedelta(hours=1))
                .add_extension(x509.BasicConstraints(ca, None), True))


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class Mockup:
    """Resources as files, laid out as DSP2043 says."""

    def __init__(self, where: pathlib.Path) -> None:
        self.where = where

    def write(self, path: str, body: dict[str, Any],
              name: str = 'index.json') -> None:
        """Let a resource be so from now on, at once."""
        folder = self.where / path.strip('/')
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f'{name}.new'
        new.write_text(json.dumps({'@odata.id': path, **body}
                                  if name == 'index.json' else body))
        new.rename(folder / name)


class _Service:
    """A process that answers; used as a context."""

    def __init__(self, where: pathlib.Path, authority: Authority,
                 name: str = 'bmc') -> None:
        self.path = where / name
        self.path.mkdir()
        self.mockup = Mockup(self.path / 'mockup')
        self.port = servers.free_port()
        self.authority = authority
        self.certificate, self.key = authority.issue(name)
        self.log = self.path / 'log'
        self.url = f'https://{servers.LOOPBACK}:{self.port}'
        self.chassis = f'{self.url}{ROOT}/Chassis/1'
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        with self.log.open('ab') as log:
            self._process = subprocess.Popen(
                [str(pathlib.Path(sys.executable).parent / word) if not place
                 else word for place, word in enumerate(self.command())],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd=self.path, start_new_session=True)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if (self._process.poll() is not None
                    or time.monotonic() > deadline):
                self.stop()
                raise servers.ServerError(self.log.read_text()[-2000:])
            time.sleep(0.05)

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        connection = http.client.HTTPSConnection(
            servers.LOOPBACK, self.port, timeout=5, context=context)
        try:
            connection.request('GET', ROOT)
            connection.getresponse().read()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def signal(self, number: int) -> None:
        """To stop it (SIGSTOP) is to be a BMC that does not answer."""
        if self._process is not None:
            os.killpg(self._process.pid, number)

    def stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


class Emulator(_Service):
    """``sushy-emulator``: asks for a password."""

    def __init__(self, where: pathlib.Path, authority: Authority,
                 password: str, name: str = 'bmc') -> None:
        super().__init__(where, authority, name)
        users = self.path / 'users'
        users.write_text(f'{USER}:' + bcrypt.hashpw(
            password.encode(), bcrypt.gensalt(4)).decode() + '\n')
        (self.path / 'emulator.conf').write_text(_CONFIGURATION.format(
            users=str(users), mockup=str(self.mockup.where),
            uuid='15693887-7984-9484-3272-842188918912'))

    def command(self) -> list[str]:
        return ['sushy-emulator', '--fake', '--interface', servers.LOOPBACK,
                '--port', str(self.port), '--config', 'emulator.conf',
                '--ssl-certificate', str(self.certificate),
                '--ssl-key', str(self.key)]

    def energy(self, **properties: Any) -> None:
        """Let the node's EnvironmentMetrics be so from now on."""
        where = f'{ROOT}/Chassis/1/EnvironmentMetrics'
        self.mockup.write(where, {
            '@odata.type': '#EnvironmentMetrics.v1_3_0.EnvironmentMetrics',
            'Id': 'EnvironmentMetrics', 'Name': 'Of the node', **properties})
        for chassis in ('1', '15693887-7984-9484-3272-842188918912'):
            self.mockup.write(f'{ROOT}/Chassis/{chassis}', {
                'EnvironmentMetrics': {'@odata.id': where}}, 'links.json')


class Static(_Service):
    """``sushy-static``: whatever is in the files."""

    def __init__(self, where: pathlib.Path, authority: Authority,
                 name: str = 'static') -> None:
        super().__init__(where, authority, name)
        self.mockup.write(ROOT, {
            '@odata.type': '#ServiceRoot.v1_15_0.ServiceRoot',
            'Id': 'RootService', 'Name': 'A service',
            'RedfishVersion': '1.15.0'})

    def command(self) -> list[str]:
        return ['sushy-static', '--interface', servers.LOOPBACK,
                '--port', str(self.port), '--mockup-files',
                f'{self.mockup.where}{ROOT}', '--ssl-certificate',
                str(self.certificate), '--ssl-key', str(self.key)]
