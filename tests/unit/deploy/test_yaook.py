# SPDX-License-Identifier: Apache-2.0
"""The manifests for Yaook: well formed, frugal, and true of the program."""

from __future__ import annotations

import base64
import configparser
import http.server
import importlib.util
import io
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import urllib.parse
from typing import Any, ClassVar
from unittest import mock

import fixtures
import jsonschema
import kubernetes_validate
import testtools
import yaml
from keystoneauth1 import loading as ksa_loading
from oslo_config import cfg, generator

from energy_accounting import conf as configuration
from energy_accounting import manage, service
from tests.unit.deploy import manifests

RENDER = manifests.load_render()
CUSTOM = yaml.safe_load(
    (pathlib.Path(__file__).parent / 'custom_resources.yaml').read_text()
)['kinds']
# The oldest that has what is used, and the newest that is known.
VERSIONS = ('1.30', '1.37')
ROOT = manifests.YAOOK.parents[1]


class Manifests(testtools.TestCase):

    def test_a_rendering_is_not_of_these_manifests(self):
        for target in RENDER.TARGETS:
            text = (manifests.YAOOK / 'rendered' / f'{target}.yaml'
                    ).read_text()
            self.assertEqual(RENDER.header(), text[:text.index('\n') + 1],
                             'run: deploy/yaook/render.py')
            if shutil.which('kubectl'):
                self.assertEqual(RENDER.render(target),
                                 text.removeprefix(RENDER.header()))

    def test_a_manifest_is_not_one_kubernetes_takes(self):
        seen = []
        for document in itertools.chain.from_iterable(
                map(manifests.rendered, RENDER.TARGETS)):
            # A namespace makes no difference.
            document['metadata'].pop('namespace', None)
            if document in seen:
                continue
            seen.append(document)
            kind = f'{document["apiVersion"]} {document["kind"]}'
            if kind in CUSTOM:
                jsonschema.Draft202012Validator(CUSTOM[kind]).validate(
                    document['spec'])
                continue
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
        self.assertGreater(len(seen), 40)

    def test_a_wrong_custom_resource_is_overlooked(self):
        user = manifests.named(manifests.rendered('example'), 'MySQLUser',
                               'api')
        schema = jsonschema.Draft202012Validator(
            CUSTOM['infra.yaook.cloud/v1 MySQLUser'])
        for change in ({'databasePrivileges': ['SUPER']}, {'usr': 'x'},
                       {'serviceRef': {}}, {'globalPrivileges': ['FILE']}):
            self.assertFalse(schema.is_valid({**user['spec'], **change}))

    def test_what_a_manifest_refers_to_is_not_there(self):
        for target in ('example', 'gateway'):
            documents = manifests.rendered(target)
            maps = {one['metadata']['name'] for one in documents
                    if one['kind'] == 'ConfigMap'}
            accounts = {one['metadata']['name'] for one in documents
                        if one['kind'] == 'ServiceAccount'}
            for _, name, template in manifests.pods(documents):
                spec = template['spec']
                self.assertIn(spec['serviceAccountName'], accounts)
                volumes = {volume['name'] for volume in spec['volumes']}
                for container in manifests.containers(template):
                    self.assertLessEqual(
                        {mount['name'] for mount in
                         container.get('volumeMounts', [])}, volumes, name)
                    self.assertTrue(container['image'].startswith(
                        'registry.example.org/'), container['image'])
                text = json.dumps(spec)
                named = set(re.findall(
                    r'"configMap": \{[^}]*"name": "([^"]+)"', text))
                # That one holds the operator's own authority.
                self.assertLessEqual(
                    named - {'energy-accounting-ca'}, maps, name)

    def test_the_service_is_in_the_catalogue_before_it_answers(self):
        kinds = [one['kind'] for one in manifests.rendered('example')]
        self.assertNotIn('KeystoneEndpoint', kinds)
        for overlay in ('example', 'gateway'):
            [endpoint] = manifests.rendered(f'{overlay}-endpoint')
            self.assertEqual('KeystoneEndpoint', endpoint['kind'])
            # In this namespace, and under a name of the certificate.
            space = endpoint['metadata']['namespace']
            certificate = manifests.named(
                manifests.rendered(overlay), 'Certificate', 'api')
            self.assertEqual(space, certificate['metadata']['namespace'])
            for place in ('admin', 'internal'):
                self.assertEqual(
                    f'https://energy-accounting-api.{space}.svc:8790/energy',
                    endpoint['spec']['endpoints'][place])
            self.assertIn(f'energy-accounting-api.{space}.svc',
                          certificate['spec']['dnsNames'])

    def test_nova_has_to_be_changed(self):
        for target in RENDER.TARGETS:
            for one in manifests.rendered(target):
                self.assertNotEqual(
                    'compute.yaook.cloud',
                    one['apiVersion'].partition('/')[0], target)
                self.assertNotIn(one['kind'], (
                    'NovaDeployment', 'KeystoneDeployment'), target)


class LeastPrivilege(testtools.TestCase):

    def test_a_pod_may_more_than_it_needs(self):
        for overlay in ('example', 'gateway'):
            self.assertEqual([], manifests.breaches([
                *manifests.rendered(overlay),
                *manifests.rendered(f'{overlay}-upgrade')]), overlay)

    def test_a_right_too_many_is_overlooked(self):
        def container(documents, kind='DaemonSet', name='notifier'):
            document = manifests.named(documents, kind, name)
            return document['spec']['template']['spec']['containers'][0]

        def context(documents):
            return container(documents)['securityContext']

        def pod(documents, kind='DaemonSet', name='notifier'):
            return manifests.named(documents, kind, name)[
                'spec']['template']['spec']

        def policy(documents, name):
            return manifests.named(documents, 'NetworkPolicy', name)['spec']

        def profile(documents, change):
            data = manifests.named(documents, 'ConfigMap', 'notifier')[
                'data']
            found = json.loads(data['seccomp.json'])
            change(found)
            data['seccomp.json'] = json.dumps(found)

        def gone(documents, kind):
            documents[:] = [one for one in documents if one['kind'] != kind]

        changes = {
            'privileged': lambda d: context(d).update(privileged=True),
            'may grow': lambda d: context(d).pop('allowPrivilegeEscalation'),
            'write its': lambda d: context(d).pop('readOnlyRootFilesystem'),
            'temporary': lambda d: [
                mount.update(mountPath='/x')
                for mount in container(d)['volumeMounts']],
            'keeps': lambda d: context(d)['capabilities'].pop('drop'),
            'adds': lambda d: context(d)['capabilities']['add'].append(
                'SYS_PTRACE'),
            'wrong user': lambda d: container(d, 'Deployment', 'api')[
                'securityContext'].update(runAsUser=0),
            'may be root': lambda d: pod(d, 'Deployment', 'api')[
                'securityContext'].pop('runAsNonRoot'),
            'no resources': lambda d: container(d).pop('resources'),
            'no readiness': lambda d: container(d).pop('readinessProbe'),
            'no liveness': lambda d: container(d, 'Deployment', 'api').pop(
                'livenessProbe'),
            'not that of a worker': lambda d: container(
                d, 'Deployment', 'api').update(
                    livenessProbe={'tcpSocket': {'port': 'https'}}),
            'or asks the database': lambda d: container(
                d, 'Deployment', 'api')['livenessProbe']['httpGet'].update(
                    path='/energy/healthcheck'),
            'by what the pod before': lambda d: container(d)[
                'readinessProbe'].update(initialDelaySeconds=110),
            'no profile of ours': lambda d: context(d).update(
                seccompProfile={'type': 'RuntimeDefault'}),
            'its own profile': lambda d: container(d)['volumeMounts'].append(
                {'name': 'seccomp', 'mountPath': '/x'}),
            "allows ['open_by_handle_at']": lambda d: profile(
                d, lambda p: p['syscalls'][0]['names'].append(
                    'open_by_handle_at')),
            'every fchmod': lambda d: profile(
                d, lambda p: p['syscalls'][1].pop('args')),
            'it does not name': lambda d: profile(
                d, lambda p: p.update(defaultAction='SCMP_ACT_ALLOW')),
            'on a disk': lambda d: next(
                one for one in pod(d)['volumes'] if one['name'] == 'tmp')[
                    'emptyDir'].pop('medium'),
            'may write exports': lambda d: next(
                one for one in container(d, 'Deployment', 'api')[
                    'volumeMounts'] if one['name'] == 'exports').pop(
                        'readOnly'),
            'api: holds energy-accounting-keystone-collector': lambda d: pod(
                d, 'Deployment', 'api')['volumes'].append(
                    {'name': 'x', 'secret': {
                        'secretName': manifests.CLOUD,
                        'items': [{'key': 'keystone.conf', 'path': 'x'}]}}),
            'purge: holds energy-accounting-keystone-collector': lambda d:
                manifests.named(d, 'CronJob', 'purge')['spec'][
                    'jobTemplate']['spec']['template']['spec'][
                        'volumes'].append({'name': 'x', 'secret': {
                            'secretName': manifests.CLOUD, 'items': [
                                {'key': 'keystone.conf', 'path': 'x'}]}}),
            'readings reaches': lambda d: policy(d, 'readings')[
                'egress'][0]['ports'].append(
                    {'port': 5000, 'protocol': 'TCP'}),
            'may write /host/sys': lambda d: [
                mount.pop('readOnly', None)
                for mount in container(d)['volumeMounts']],
            'hostNetwork': lambda d: pod(d).update(hostNetwork=True),
            'hostPID': lambda d: pod(d, 'Deployment', 'api').update(
                hostPID=True),
            'token of Kubernetes': lambda d: pod(d).pop(
                'automountServiceAccountToken'),
            'seccomp': lambda d: pod(d).pop('securityContext'),
            'hostPath /': lambda d: pod(d, 'Deployment', 'api')[
                'volumes'].append({'name': 'x', 'hostPath': {'path': '/'}}),
            'more of the node': lambda d: pod(d)['volumes'].append(
                {'name': 'x', 'hostPath': {'path': '/etc'}}),
            'notifier: holds energy-accounting-keystone': lambda d: pod(d)[
                'volumes'].append({'name': 'x', 'secret': {
                    'secretName': manifests.CLOUD,
                    'items': [{'key': 'keystone.conf', 'path': 'x'}]}}),
            'holds energy-accounting-api-tls': lambda d: pod(d)[
                'volumes'].append({'name': 'x', 'secret': {
                    'secretName': 'energy-accounting-api-tls',
                    'items': [{'key': 'ca.crt', 'path': 'x'}]}}),
            'annotation': lambda d: manifests.named(
                d, 'DaemonSet', 'notifier')['spec']['template'][
                    'metadata'].pop('annotations'),
            'written down': lambda d: container(d)['env'].append(
                {'name': 'BUS_PASSWORD', 'value': 'secret'}),
            'disruption budget': lambda d: gone(d, 'PodDisruptionBudget'),
            'closes every pod': lambda d: gone(d, 'NetworkPolicy'),
            'notifier reaches': lambda d: policy(d, 'database')[
                'podSelector']['matchExpressions'][0]['values'].append(
                    'notifier'),
            'in the whole cluster': lambda d: d.append(
                {'kind': 'ClusterRole', 'metadata': {'name': 'x'}}),
            'to everything': lambda d: manifests.named(
                d, 'Role', 'credential')['rules'][0]['verbs'].append('*'),
            'change any Secret': lambda d: manifests.named(
                d, 'Role', 'credential')['rules'][1]['verbs'].append('get'),
        }
        for words, change in changes.items():
            documents = manifests.rendered('gateway')
            change(documents)
            self.assertIn(words, '\n'.join(manifests.breaches(documents)),
                          words)


class Configuration(testtools.TestCase):
    """What the files and the environment of the pods set is there."""

    def setUp(self):
        super().setUp()
        self.documents = manifests.rendered('gateway')

    def file_of(self, name: str) -> str:
        return manifests.named(self.documents, 'ConfigMap', name)[
            'data']['energy-accounting.conf']

    def test_an_option_of_a_file_is_unknown(self):
        known = known_options()
        for name in ('api', 'collector', 'notifier'):
            parser = configparser.ConfigParser(
                interpolation=None, default_section='none')
            parser.read_string(self.file_of(name))
            for section in parser.sections():
                for option in parser[section]:
                    self.assertIn(option, known[section],
                                  f'{name}: [{section}]')

    def test_who_downloads_stands_nowhere(self):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(self.file_of('api'))
        self.assertTrue(parser['audit'].getboolean('enabled'))
        # The API has no message bus.
        self.assertFalse(parser['audit_middleware_notifications'].getboolean(
            'use_oslo_messaging'))

    def test_a_variable_of_a_pod_sets_nothing(self):
        known = known_options()
        seen = set()
        for _, name, template in manifests.pods(self.documents):
            for container in manifests.containers(template):
                for variable in container.get('env', []):
                    found = re.fullmatch(r'OS_([A-Z_]+?)__([A-Z_]+)',
                                         variable['name'])
                    if found:
                        section, option = (part.lower()
                                           for part in found.groups())
                        section = ('DEFAULT' if section == 'default'
                                   else section)
                        self.assertIn(option, known[section], name)
                        seen.add((section, option))
        self.assertLessEqual(
            {('DEFAULT', 'host'), ('DEFAULT', 'transport_url'),
             ('database', 'connection'), ('exports', 'directory'),
             ('redfish', 'credentials_file'), ('prometheus', 'url'),
             ('keystone_authtoken', 'www_authenticate_uri')}, seen)

    def test_the_notifier_does_not_read_what_is_mounted(self):
        where = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (where / 'file').write_text(self.file_of('notifier'))
        conf = cfg.ConfigOpts()
        configuration.register(conf, credentials=False)
        with mock.patch.dict('os.environ',
                             {'OS_DEFAULT__HOST': 'compute-1'}):
            conf(['--config-file', str(where / 'file')],
                 project='energy-accounting')
            configuration.check(conf)
            self.assertEqual('compute-1', configuration.host_name(conf))
        mounts = {mount['mountPath'] for _, name, template
                  in manifests.pods(self.documents)
                  if name == 'energy-accounting-notifier'
                  for mount in template['spec']['containers'][0][
                      'volumeMounts']}
        self.assertIn(conf.notifier.sysfs_path, mounts)
        self.assertIn(conf.state_path, mounts)
        self.assertEqual(['procfs'], conf.notifier.guests)
        self.assertEqual({'kubernetes=kubepods*', 'ceph=system.slice/ceph*'},
                         set(conf.notifier.service_cgroups))

    def test_a_collector_is_ready_without_one_of_its_workers(self):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(self.file_of('collector'))
        [container] = manifests.named(
            self.documents, 'Deployment', 'collector')['spec']['template'][
                'spec']['containers']
        probe = container['readinessProbe']['exec']['command'][-1]
        self.assertEqual(parser['collector']['workers'],
                         probe.rpartition(' ')[2])
        # A file is new for longer than a worker takes to touch it again.
        self.assertIn('-mmin -1', probe)
        self.assertLess(2 * service.ALIVE_SECONDS, 60)
        state = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for files, code in (([], 1), ([0], 1), ([0, 1], 0)):
            for number in files:
                (state / f'collector-{number}.alive').touch()
            for name, wanted in (('readinessProbe', code),
                                 ('livenessProbe', 0)):
                self.assertEqual(wanted, self.probe(
                    container[name], state), (name, files))
        os.utime(state / 'collector-1.alive', (1, 1))
        for name in ('readinessProbe', 'livenessProbe'):
            self.assertEqual(1, self.probe(container[name], state), name)

    def probe(self, probe: dict[str, Any], state: pathlib.Path) -> int:
        return subprocess.run(
            [part.replace('/var/lib/energy-accounting', str(state))
             for part in probe['exec']['command']], check=False).returncode

    def test_a_command_of_a_pod_is_not_there(self):
        setup = configparser.ConfigParser()
        setup.read(ROOT / 'setup.cfg')
        scripts = setup['options.entry_points']['console_scripts']
        seen = set()
        for _, name, template in manifests.pods(self.documents):
            for container in manifests.containers(template):
                for program in re.findall(
                        r'energy-accounting-[a-z]+',
                        re.sub(r'\S*/\S*', '',
                               ' '.join(container['command']))):
                    self.assertIn(program, scripts, name)
                    seen.add(program)
        self.assertIn('energy-accounting-status', seen)

    def test_a_job_is_told_what_it_does_not_know(self):
        jobs = {name.removeprefix('energy-accounting-'):
                template['spec']['containers'][0]['command'][1:]
                for kind, name, template in manifests.pods(self.documents)
                if kind == 'CronJob'}
        units = {path.stem.removeprefix('energy-accounting-'): re.search(
            r'(?m)^ExecStart=\S+energy-accounting-manage (.+)',
            path.read_text()) for path in
            (ROOT / 'deploy' / 'systemd').glob('*.service')}
        jobs['export'] = jobs.pop('export-send')
        for name, found in units.items():
            if found:
                # The same on plain hosts, but for the time zone.
                self.assertEqual(
                    [word for word in jobs[name] if '/' not in word],
                    [word for word in found[1].split() if '$' not in word])
            elif name in jobs:
                self.fail(name)
        for name in ('purge', 'factors', 'close', 'export', 'export-month',
                     'readings'):
            conf = cfg.ConfigOpts()
            configuration.register(conf)
            conf.register_cli_opt(cfg.SubCommandOpt(
                'command', handler=manage._add_commands))
            conf(jobs[name], project='energy-accounting',
                 default_config_files=[])

    def test_months_of_two_zones_are_mixed(self):
        for target, name in (('example', 'close'), ('gateway', 'close'),
                             ('gateway', 'export-month')):
            job = manifests.named(manifests.rendered(target), 'CronJob',
                                  name)
            command = job['spec']['jobTemplate']['spec']['template']['spec'][
                'containers'][0]['command']
            self.assertEqual(
                job['spec']['timeZone'],
                command[command.index('--timezone') + 1], target)

    def test_prometheus_has_a_token_that_the_api_does_not_know(self):
        documents = manifests.rendered('gateway')
        [monitor] = [one for one in documents
                     if one['kind'] == 'ServiceMonitor']
        wanted = monitor['spec']['endpoints'][0]['authorization'][
            'credentials']
        spec = manifests.named(documents, 'Deployment', 'api')['spec'][
            'template']['spec']
        [api] = spec['containers']
        file = pathlib.PurePath(next(
            variable['value'] for variable in api['env']
            if variable['name'] == 'OS_API__METRICS_TOKEN_FILE'))
        self.assertIn('metrics_token_file', known_options()['api'])
        [volume] = [mount['name'] for mount in api['volumeMounts']
                    if mount['mountPath'] == str(file.parent)]
        [secret] = [one['secret'] for one in spec['volumes']
                    if one['name'] == volume]
        self.assertEqual(wanted['name'], secret['secretName'])
        self.assertEqual([{'key': wanted['key'], 'path': file.name}],
                         secret['items'])
        # The API refuses one that others may read.
        self.assertEqual(0, secret['defaultMode'] & 0o007)


def known_options() -> dict[str, set[str]]:
    """Every option that one of our processes knows, by section."""
    lines = (ROOT / 'etc' / 'energy-accounting' / 'config-generator.conf'
             ).read_text()
    found: dict[str, set[str]] = {}
    for _, groups in generator._list_opts(
            re.findall(r'^namespace = (\S+)', lines, re.MULTILINE)):
        for group, options in groups:
            name = str(group or 'DEFAULT')
            found.setdefault(name, set()).update(
                option.dest for option in options)
    password = {option.dest for option in
                ksa_loading.get_auth_plugin_conf_options('v3password')}
    for section in ('keystone_authtoken', 'service_auth', 'nova'):
        found[section] |= password | {'auth_type', 'auth_section'}
    return found


# --- the credential of the KeystoneUser -------------------------------------

def load_finder() -> Any:
    spec = importlib.util.spec_from_file_location(
        'find_credential',
        manifests.YAOOK / 'base' / 'config' / 'find_credential.py')
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FINDER = load_finder()
USERS = {'energy-accounting': 'api', 'energy-accounting-collector': 'mine'}
PASSWORD = r'a$b\$c"d%(e)s ' + "'#;=ü"


def secret_of(owner: str, password: str, made: str = '2026-11-01T00:00:00Z',
              ) -> dict[str, Any]:
    texts = {'OS_USERNAME': 'energy-accounting.yaook.cluster.local',
             'OS_PASSWORD': password, 'OS_PROJECT_NAME': 'service',
             'OS_USER_DOMAIN_NAME': 'Default',
             'OS_PROJECT_DOMAIN_NAME': 'Default'}
    return {'metadata': {'name': f'idcreds-{owner}-{made}',
                         'creationTimestamp': made,
                         'ownerReferences': [{'uid': owner}]},
            'data': {name: base64.b64encode(text.encode()).decode()
                     for name, text in texts.items()}}


class Kubernetes(http.server.BaseHTTPRequestHandler):
    """As much of its API server as is asked."""

    secrets: ClassVar[dict[str, dict[str, Any]]] = {}
    log: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        name = self.path.rpartition('/')[2]
        if self.headers['Authorization'] != 'Bearer token':
            self.answer(401, {})
        elif '/keystoneusers/' in self.path:
            self.answer(200, {'metadata': {'uid': USERS[name]}})
        elif name.startswith('secrets?limit='):
            self.page(urllib.parse.parse_qs(name.partition('?')[2]))
        elif name.startswith('secrets?fieldSelector='):
            wanted = urllib.parse.unquote(name).rpartition('=')[2]
            self.answer(200, {'items': [
                one for one in self.secrets.values()
                if one['metadata']['name'] == wanted]})
        else:
            self.answer(200 if name in self.secrets else 404,
                        self.secrets.get(name))

    def page(self, asked: dict[str, list[str]]) -> None:
        # Without this a namespace of Helm's is more than the pod's memory.
        if self.headers['Accept'] != FINDER.METADATA:
            self.answer(400, {})
            return
        begin = int(asked.get('continue', ['0'])[0])
        until = begin + 2
        found = [{'metadata': one['metadata']}
                 for one in self.secrets.values()]
        self.answer(200, {'items': found[begin:until], 'metadata': {
            'continue': str(until) if until < len(found) else ''}})

    def do_POST(self) -> None:
        self.log.append(self.command)
        body = json.loads(self.rfile.read(
            int(self.headers['Content-Length'])))
        self.secrets[body['metadata']['name']] = body
        self.answer(200, body)

    do_PUT = do_POST

    def answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


class CredentialTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0),
                                                 Kubernetes)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True,
                         kwargs={'poll_interval': 0.01}).start()
        Kubernetes.secrets = {}
        Kubernetes.log = []
        self.url = f'http://127.0.0.1:{server.server_port}'

    def find(self, token: str = 'token') -> str:
        output = io.StringIO()
        with mock.patch('sys.stdout', output):
            FINDER.main(FINDER.Cluster(self.url, token, None), 'yaook')
        return output.getvalue()

    def read_back(self, user: str = 'energy-accounting-collector',
                  ) -> cfg.ConfigOpts:
        secret, sections = FINDER.WANTED[user]
        text = base64.b64decode(
            Kubernetes.secrets[secret]['data']['keystone.conf']).decode()
        where = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (where / 'file').write_text(text)
        conf = cfg.ConfigOpts()
        for section in sections:
            conf.register_opts(
                [option for option in
                 ksa_loading.get_auth_plugin_conf_options('v3password')
                 if option.dest != 'auth_url'], section)
        conf(['--config-file', str(where / 'file')])
        self.assertEqual(set(sections),
                         set(re.findall(r'(?m)^\[(.+)\]$', text)))
        return conf

    def test_a_password_is_changed_on_its_way(self):
        Kubernetes.secrets['a'] = secret_of('mine', PASSWORD)
        Kubernetes.secrets['b'] = secret_of('api', 'tokens')
        self.assertIn('created', self.find())
        conf = self.read_back()
        for section in ('service_auth', 'nova', 'cloudkitty'):
            self.assertEqual(PASSWORD, conf[section].password)
            self.assertEqual('service', conf[section].project_name)

    def test_the_api_gets_the_credential_of_the_collector(self):
        # After what somebody else has, on another page.
        for number in range(5):
            Kubernetes.secrets[f'x{number}'] = secret_of('nova', 'foreign')
        Kubernetes.secrets['a'] = secret_of('mine', PASSWORD)
        Kubernetes.secrets['b'] = secret_of('api', 'tokens')
        self.find()
        self.assertEqual('tokens', self.read_back(
            'energy-accounting')['keystone_authtoken'].password)
        text = base64.b64decode(Kubernetes.secrets[
            manifests.TOKENS]['data']['keystone.conf']).decode()
        self.assertNotIn('nova', text)
        self.assertNotIn(FINDER.quoted(PASSWORD), text)

    def test_the_credential_of_somebody_else_is_taken(self):
        Kubernetes.secrets['a'] = secret_of('nova', 'foreign')
        error = self.assertRaises(SystemExit, self.find)
        self.assertIn('no Secret', str(error))
        self.assertEqual([], Kubernetes.log)

    def test_one_that_is_late_keeps_the_other_back(self):
        Kubernetes.secrets['a'] = secret_of('mine', 'same')
        error = self.assertRaises(SystemExit, self.find)
        self.assertIn('KeystoneUser energy-accounting yet', str(error))
        self.assertEqual('same', self.read_back().nova.password)

    def test_an_old_credential_outlives_a_newer_one(self):
        Kubernetes.secrets['a'] = secret_of('mine', 'old')
        Kubernetes.secrets['c'] = secret_of('api', 'tokens')
        self.find()
        Kubernetes.secrets['b'] = secret_of('mine', 'new',
                                            '2026-11-02T00:00:00Z')
        self.assertIn('restart', self.find())
        self.assertEqual('new', self.read_back().nova.password)

    def test_what_has_not_changed_is_written_again(self):
        Kubernetes.secrets['a'] = secret_of('mine', 'same')
        Kubernetes.secrets['b'] = secret_of('api', 'tokens')
        self.find()
        self.assertEqual('', self.find())
        self.assertEqual(['POST', 'POST'], Kubernetes.log)

    def test_a_line_break_becomes_another_option(self):
        Kubernetes.secrets['a'] = secret_of('mine', 'x\nproject_name = admin')
        error = self.assertRaises(SystemExit, self.find)
        self.assertIn('OS_PASSWORD', str(error))

    def test_a_refusal_shows_a_traceback(self):
        error = self.assertRaises(SystemExit, self.find, 'wrong')
        self.assertIn('401', str(error))
