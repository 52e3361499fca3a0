# SPDX-License-Identifier: Apache-2.0
"""What the manifests for Yaook come to, and the rules they are to keep.

A rule is a function from what is applied to a cluster to what breaks it, so
that tests can break each one.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

YAOOK = pathlib.Path(__file__).parents[3] / 'deploy' / 'yaook'
# Where a pod template stands.
PODS = {'Deployment': ('spec', 'template'), 'DaemonSet': ('spec', 'template'),
        'CronJob': ('spec', 'jobTemplate', 'spec', 'template'),
        'Job': ('spec', 'template')}
OURS = 'energy-accounting-'
# Secrets by the component that may refer to them: of each the whole, because
# that is what a node may fetch whose pod refers to one.
CLOUD = 'energy-accounting-keystone-collector'
TOKENS = 'energy-accounting-keystone-api'
TRUST = 'energy-accounting-trust'
HOLDERS = {
    'notifier': {'energy-accounting-mq-notifier', TRUST},
    'collector': {'energy-accounting-mq-collector',
                  'energy-accounting-db-collector', CLOUD, TRUST},
    'api': {'energy-accounting-db-api', 'energy-accounting-db-schema',
            TOKENS, 'energy-accounting-api-tls', 'energy-accounting-metrics',
            TRUST},
    'job': {'energy-accounting-db-collector', TRUST},
    'export': {'energy-accounting-db-collector', CLOUD, TRUST},
    'readings': {'energy-accounting-db-collector',
                 'energy-accounting-redfish', TRUST},
    'credential': set(),
}
# Ports in reach.
REACH = {
    'notifier': {53, 5671}, 'api': {53, 3306, 5000},
    'job': {53, 443, 3306}, 'credential': {53, 443, 6443},
    'collector': {53, 3306, 5000, 5671, 8774},
    'export': {53, 3306, 5000, 8889}, 'readings': {53, 443, 3306, 9090},
}
KUBELET = '/var/lib/kubelet/seccomp/'
# What whoever took over the notifier could do with its one capability, as
# user 0 without any, or with what nobody filters.
FORBIDDEN = {
    'open_by_handle_at', 'kill', 'tkill', 'tgkill', 'pidfd_send_signal',
    'rt_sigqueueinfo', 'rt_tgsigqueueinfo', 'ptrace', 'process_vm_readv',
    'process_vm_writev', 'setns', 'unshare', 'clone3', 'mknod', 'mknodat',
    'openat2', 'io_uring_setup', 'bpf', 'perf_event_open', 'mount'}
# These, only with these bits of this argument unset: no file of the spool
# becomes a program that runs as root, no process gets a namespace.
LIMITED = {**dict.fromkeys(('chmod', 'fchmod', 'creat'), (1, 0o6000)),
           **dict.fromkeys(('fchmodat', 'fchmodat2', 'open'), (2, 0o6000)),
           'openat': (3, 0o6000), 'clone': (0, 0x7e020000)}


def load_render() -> Any:
    """The script that renders, as a module."""
    spec = importlib.util.spec_from_file_location('render',
                                                  YAOOK / 'render.py')
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rendered(target: str) -> list[dict[str, Any]]:
    return json.loads(_as_json(target))


@functools.cache
def _as_json(target: str) -> str:
    # The parser of YAML takes seconds.
    text = (YAOOK / 'rendered' / f'{target}.yaml').read_text()
    return json.dumps(list(yaml.load_all(
        text, getattr(yaml, 'CSafeLoader', yaml.SafeLoader))))


def named(documents: Sequence[dict[str, Any]], kind: str, name: str,
          ) -> dict[str, Any]:
    """One of the documents; names of ConfigMaps end with a digest."""
    found = [one for one in documents if one['kind'] == kind
             and one['metadata']['name'].startswith(f'{OURS}{name}'
                                                    .rstrip('-'))]
    assert found, (kind, name)
    return min(found, key=lambda one: len(one['metadata']['name']))


def pods(documents: Sequence[dict[str, Any]],
         ) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(kind, name, template) of whatever runs pods."""
    for document in documents:
        if document['kind'] in PODS:
            template = document
            for key in PODS[document['kind']]:
                template = template[key]
            yield document['kind'], document['metadata']['name'], template


def containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    spec = template['spec']
    return [*spec.get('initContainers', []), *spec['containers']]


def secrets(template: dict[str, Any]) -> dict[str, set[str]]:
    """Names of Secrets that a pod gets, with the keys of them."""
    found: dict[str, set[str]] = {}
    for container in containers(template):
        for variable in container.get('env', []):
            key = variable.get('valueFrom', {}).get('secretKeyRef')
            if key:
                found.setdefault(key['name'], set()).add(key['key'])
        for source in container.get('envFrom', []):
            if 'secretRef' in source:
                found.setdefault(source['secretRef']['name'], set()).add('*')
    for volume in template['spec'].get('volumes', []):
        sources = [volume, *volume.get('projected', {}).get('sources', [])]
        for source in sources:
            if source.get('secret'):
                secret = source['secret']
                name = secret.get('secretName') or secret['name']
                found.setdefault(name, set()).update(
                    item['key'] for item in secret.get('items', []))
                if not secret.get('items'):
                    found[name].add('*')
    return found


def breaches(documents: Sequence[dict[str, Any]]) -> list[str]:
    """What is against a rule of least privilege, in words."""
    found: list[str] = []
    for kind, name, template in pods(documents):
        found += (f'{kind} {name}: {text}'
                  for text in _of_pod(kind, template))
    found += _of_profile(documents)
    found += _of_cluster(documents)
    return found


def _of_pod(kind: str, template: dict[str, Any]) -> Iterator[str]:
    spec = template['spec']
    component = template['metadata']['labels']['app.kubernetes.io/component']
    notifier = component == 'notifier'
    for option in ('hostNetwork', 'hostIPC', 'shareProcessNamespace'):
        if spec.get(option):
            yield option
    if bool(spec.get('hostPID')) != notifier:
        yield 'hostPID'
    if spec.get('automountServiceAccountToken') is not (
            component == 'credential'):
        yield 'a token of Kubernetes'
    profile = spec.get('securityContext', {}).get('seccompProfile', {})
    if profile.get('type') not in ('RuntimeDefault', 'Localhost'):
        yield 'no seccomp profile'
    paths = {volume['name']: volume['hostPath']['path']
             for volume in spec.get('volumes', []) if 'hostPath' in volume}
    yield from _of_volumes(notifier, spec, paths)
    for secret, keys in secrets(template).items():
        if secret not in HOLDERS[component] or '*' in keys:
            yield f'holds {secret}'
    annotation = template['metadata'].get('annotations', {}).get(
        'energy-accounting-config')
    sources = {source.get('configMap', {}).get('name') for volume
               in spec['volumes'] for source in
               [volume, *volume.get('projected', {}).get('sources', [])]
               if source.get('configMap')} - {'energy-accounting-ca'}
    if sources and annotation not in sources:
        yield 'its annotation does not name its configuration'
    for container in containers(template):
        for text in _of_container(kind, component, spec, container, paths):
            yield f'{container["name"]}: {text}'


def _of_volumes(notifier: bool, spec: dict[str, Any],
                paths: dict[str, str]) -> Iterator[str]:
    for volume in spec.get('volumes', []):
        if 'hostPath' in volume and not notifier:
            yield f'hostPath {volume["hostPath"]["path"]}'
    if not set(paths.values()) <= {
            '/sys', '/etc/machine-id', '/var/lib/energy-accounting',
            f'{KUBELET}energy-accounting'}:
        yield 'more of the node than is read'
    for volume in spec.get('volumes', []):
        if (notifier and 'emptyDir' in volume
                and volume['emptyDir'].get('medium') != 'Memory'):
            yield f'{volume["name"]} is on a disk of the node'


def _of_container(kind: str, component: str, spec: dict[str, Any],
                  container: dict[str, Any], paths: dict[str, str],
                  ) -> Iterator[str]:
    notifier = component == 'notifier'
    metering = notifier and container in spec['containers']
    context = {**spec.get('securityContext', {}),
               **container.get('securityContext', {})}
    if context.get('privileged'):
        yield 'privileged'
    if context.get('allowPrivilegeEscalation') is not False:
        yield 'privileges may grow'
    if context.get('readOnlyRootFilesystem') is not True:
        yield 'may write its file system'
    capabilities = context.get('capabilities', {})
    if capabilities.get('drop') != ['ALL']:
        yield 'keeps capabilities'
    if capabilities.get('add', []) != (['DAC_READ_SEARCH'] if metering
                                       else []):
        yield 'adds capabilities'
    if capabilities.get('add') and (context.get('seccompProfile') != {
            'type': 'Localhost',
            'localhostProfile': 'energy-accounting/notifier.json'}):
        yield 'a capability that no profile of ours bounds'
    if notifier != (context.get('runAsUser') == 0):
        yield 'wrong user'
    if not notifier and context.get('runAsNonRoot') is not True:
        yield 'may be root'
    resources = container.get('resources', {})
    if not ({'cpu', 'memory'} <= resources.get('requests', {}).keys()
            and 'memory' in resources.get('limits', {})):
        yield 'no resources'
    yield from _of_mounts(component, container, paths)
    yield from _of_probes(component, container)
    if kind in ('Deployment', 'DaemonSet') and container in spec[
            'containers'] and 'readinessProbe' not in container:
        yield 'no readiness probe'
    if component == 'api' and container in spec['containers'] and (
            'livenessProbe' not in container):
        yield 'no liveness probe'
    for variable in container.get('env', []):
        if 'PASSWORD' in variable['name'] and 'value' in variable:
            yield f'{variable["name"]} is written down'


def _of_mounts(component: str, container: dict[str, Any],
               paths: dict[str, str]) -> Iterator[str]:
    mounts = container.get('volumeMounts', [])
    for mount in mounts:
        if (paths.get(mount['name']) in ('/sys', '/etc/machine-id')
                and mount.get('readOnly') is not True):
            yield f'may write {mount["mountPath"]}'
        # Whoever has a capability does not write what bounds it.
        if (paths.get(mount['name'], '').startswith(KUBELET)
                and container.get('securityContext', {}).get(
                    'capabilities', {}).get('add')):
            yield 'may write its own profile'
        if (mount['mountPath'] == '/var/exports' and component == 'api'
                and mount.get('readOnly') is not True):
            yield 'may write exports'
    if component != 'credential' and '/tmp' not in {
            mount['mountPath'] for mount in mounts}:
        yield 'no room for temporary files'


def _of_probes(component: str, container: dict[str, Any]) -> Iterator[str]:
    alive = container.get('livenessProbe')
    if component == 'api' and alive and (
            alive.get('httpGet', {}).get('path') != '/energy/'):
        # /healthcheck asks the database; a socket is the master's, which
        # answers for workers that hang.
        yield 'its liveness is not that of a worker, or asks the database'
    if component == 'notifier' and 'readinessProbe' in container:
        # [notifier] window_seconds of what is mounted is the default, 60.
        ready = container['readinessProbe']
        age = re.search(r'-mmin -(\d+)\)', ready['exec']['command'][-1])
        if not (age and 60 < int(age[1]) * 60
                < ready.get('initialDelaySeconds', 0)):
            yield 'is ready by what the pod before has written'


def _of_profile(documents: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not any(name == f'{OURS}notifier' for _, name, _ in pods(documents)):
        return
    text = named(documents, 'ConfigMap', 'notifier')['data'].get(
        'seccomp.json', '{}')
    profile = json.loads(text)
    if profile.get('defaultAction') != 'SCMP_ACT_ERRNO':
        yield 'the profile allows what it does not name'
    for rule in profile.get('syscalls', []):
        if rule['action'] != 'SCMP_ACT_ALLOW':
            continue
        names = set(rule['names'])
        if names & FORBIDDEN:
            yield f'the profile allows {sorted(names & FORBIDDEN)}'
        for call in names & LIMITED.keys():
            index, bits = LIMITED[call]
            if rule.get('args') != [{
                    'index': index, 'value': bits, 'valueTwo': 0,
                    'op': 'SCMP_CMP_MASKED_EQ'}]:
                yield f'the profile allows every {call}'


def _of_cluster(documents: Sequence[dict[str, Any]]) -> Iterator[str]:
    budgets = {document['metadata']['name'] for document in documents
               if document['kind'] == 'PodDisruptionBudget'}
    for kind, name, _ in pods(documents):
        if kind == 'Deployment' and name not in budgets:
            yield f'{name}: no disruption budget'
    policies = [document for document in documents
                if document['kind'] == 'NetworkPolicy']
    if not any(one['spec']['policyTypes'] == ['Ingress', 'Egress']
               and one['spec']['podSelector'] == {'matchLabels': {
                   'app.kubernetes.io/name': 'energy-accounting'}}
               and not one['spec'].get('ingress') for one in policies):
        yield 'no policy that closes every pod of ours'
    there = {template['metadata']['labels']['app.kubernetes.io/component']
             for _, _, template in pods(documents)}
    for component in there:
        if egress(policies, component) != REACH[component]:
            yield (f'{component} reaches '
                   f'{sorted(egress(policies, component))}')
    for document in documents:
        if document['kind'] in ('ClusterRole', 'ClusterRoleBinding'):
            yield 'rights in the whole cluster'
        for rule in (document.get('rules') or ()
                     if document['kind'] == 'Role' else ()):
            if '*' in (*rule['verbs'], *rule['resources'],
                       *rule['apiGroups']):
                yield 'a right to everything'
            if (rule['resources'] == ['secrets']
                    and set(rule['verbs']) - {'list', 'create'}
                    and 'resourceNames' not in rule):
                yield 'a right to change any Secret'


def egress(policies: Sequence[dict[str, Any]], component: str) -> set[int]:
    """Ports that pods of a component may reach."""
    labels = {'app.kubernetes.io/name': 'energy-accounting',
              'app.kubernetes.io/component': component}
    found: set[int] = set()
    for policy in policies:
        selector = policy['spec']['podSelector']
        chosen = all(labels.get(key) == value for key, value in
                     selector.get('matchLabels', {}).items()) and all(
            labels.get(one['key']) in one['values']
            for one in selector.get('matchExpressions', []))
        if chosen:
            found |= {port['port'] for rule in
                      policy['spec'].get('egress', [])
                      for port in rule['ports']}
    return found
