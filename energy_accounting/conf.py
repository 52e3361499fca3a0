# SPDX-License-Identifier: Apache-2.0
"""Every option of every process, and the one place they are loaded.

Nothing else registers options, and nothing imports a global: :func:`load`
makes the configuration once and hands it on.  What a process works with
are typed settings made of it at the edge, not this object.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
from collections.abc import Sequence

from oslo_config import cfg

from energy_accounting import errors, units

NAME = 'energy-accounting'

default_opts = [
    cfg.StrOpt('host', sample_default='<hostname>', help="""
The name of this host, as nova-compute's own ``host`` option says it. The
default is the machine's host name; inside a container there is no default,
because a container's name is not the host's.
"""),
    cfg.StrOpt('state_path', default='/var/lib/energy-accounting', help="""
Directory for what must survive a restart: the notifier's spool, and the
database of the standalone service.
"""),
]

notifier_opts = [
    cfg.ListOpt('meters', default=['rapl'], help="""
Meters to read, by plug-in name (entry points energy_accounting.meters).
"""),
    cfg.ListOpt('guests', default=['libvirt', 'procfs'], help="""
Sources of guests, by plug-in name (entry points energy_accounting.guests);
the first that works on this host is used.
"""),
    cfg.IntOpt('tick_seconds', default=5, min=1, max=60, help="""
Seconds between two joint readings of all meters and all guests.
"""),
    cfg.IntOpt('window_seconds', default=60,
               choices=[n for n in range(10, 901) if 900 % n == 0], help="""
Seconds of a window, the unit that is sent and stored exactly once. Divides
900, so that a window never crosses a quarter of an hour.
"""),
    cfg.StrOpt('policy', default='two-part/1', help="""
Attribution policy, by name and version (entry points
energy_accounting.policies): two-part/1 or proportional/1; node/1 where the
meter is one of the whole node (hwmon, ipmi).
"""),
    cfg.StrOpt('idle_power_watts', default='auto', help="""
Power the packages draw with no work, in watts (a number, up to six decimal
places), or auto: the median of at least ten quiet windows of a day, valid
from the next UTC day on.
"""),
    cfg.StrOpt('max_power_watts', default='auto', help="""
The most the packages of this host can draw together, in watts, or auto: 1.5
times the sum of the packages' long-term power limits, else 600 W a package;
20 kW for a meter of the whole node.
Decides whether a counter's fall can be a wrap.
"""),
    cfg.StrOpt('cpu_allocation_ratio', default='1.0', help="""
vCPUs this host offers per hardware thread, as nova-compute's option of the
same name; a decimal number above 0. Idle energy is given by vCPU out of
threads times this ratio.
"""),
    cfg.ListOpt('service_cgroups', default=[], help="""
Cgroups whose CPU time belongs to a service account, as ``[name=]path``
under cgroup_path; globs are allowed, the whole subtree counts, guests
inside it do not. Example: ``kubernetes=kubepods*,ceph=system.slice/ceph*``
"""),
    cfg.IntOpt('spool_max_days', default=30, min=1, help="""
Days of windows that are kept while the collector is away. Older ones are
lost, which the balance shows as a gap; a warning comes at half of them and
an error at 80 %.
"""),
    cfg.IntOpt('spool_max_mib', default=2048, min=16, help="""
MiB that the spool may take on disk. At the bound the oldest acknowledged
windows go first, then the oldest of the others, which the balance shows as
a gap; a warning comes at half of it and an error at 80 %. A host with a
hundred guests writes about 65 MiB a day.
"""),
    cfg.IntOpt('spool_keep_hours', default=48, min=0, help="""
Hours that acknowledged windows are kept, so that a database restored from a
backup can be caught up.
"""),
    cfg.StrOpt('procfs_path', default='/proc', help='Where procfs is.'),
    cfg.StrOpt('sysfs_path', default='/sys', help="""
Where sysfs is. Container runtimes mask powercap under /sys: mount the
host's elsewhere, e.g. /host/sys.
"""),
    cfg.StrOpt('cgroup_path', default='/sys/fs/cgroup',
               help='Where the cgroup file system is.'),
    cfg.BoolOpt('user_ids', default=False, help="""
Send the user id of an instance's owner too. User ids are personal data: off
by default.
"""),
]

rapl_opts = [
    cfg.ListOpt('zones', default=['auto'], help="""
RAPL zones to count, by name (``package-0``, ``dram-0``, ``psys``), or auto:
all packages (or dies) and their DRAM. Zones that contain each other are
refused.
"""),
]

hwmon_opts = [
    cfg.ListOpt('sensors', default=['auto'], help="""
Sensors of the meter hwmon that add up to the whole node, as
``CHIP/energyN`` or ``CHIP/powerN`` (``power_meter/power1``), or auto: the
one that is known to be the node's. Of power, energy is estimated.
"""),
]

ipmi_opts = [
    cfg.StrOpt('command', default='ipmitool -I open dcmi power reading',
               help="""
What the meter ipmi runs to ask this host's own BMC for its power; it answers
as ipmitool does. No password belongs in it.
"""),
    cfg.IntOpt('interval_seconds', default=10, min=1, max=60, help="""
Seconds between two questions; energy is estimated from the answers.
"""),
]

libvirt_opts = [
    cfg.StrOpt('uri', default='qemu:///system',
               help='Connection to libvirt; opened read-only.'),
]

collector_opts = [
    cfg.IntOpt('workers', default=2, min=1, max=256,
               help='Worker processes of one collector.'),
    cfg.StrOpt('enrolment', default='first_use',
               choices=['first_use', 'manual'], help="""
first_use: a host is enrolled by its first window. manual: windows of a host
that no operator has enrolled are quarantined.
"""),
    cfg.BoolOpt('user_ids', default=False, help="""
Keep the user ids of instances' owners, of those notifiers that send them
([notifier] user_ids) and of Nova. User ids are personal data: off by
default, whatever a notifier sends.
"""),
    cfg.IntOpt('owners_refresh_seconds', default=300, min=10, help="""
Seconds between two readings of names from Keystone and of missing owners
from Nova.
"""),
    cfg.IntOpt('retention_instance_days', default=400, min=31, help="""
Days that rows by instance are kept (energy-accounting-manage db purge).
"""),
    cfg.IntOpt('retention_project_days', default=3660, min=31, help="""
Days that sums by project are kept.
"""),
    cfg.IntOpt('retention_user_days', default=62, min=1, max=62, help="""
Days that user ids are kept.
"""),
]

platform_opts = [
    cfg.IntOpt('apportion_seconds', default=300, min=0, max=86400, help="""
Seconds between two looks of a collector at what node meters saw beyond
packages and memory, which it divides over the accounts; 0: it is left to
energy-accounting-manage platform apportion.
"""),
]

api_opts = [
    cfg.IntOpt('max_limit', default=1000, min=1, max=100000,
               help='The most rows one answer holds.'),
    cfg.StrOpt('metrics_token_file', help="""
A file that holds the bearer token that opens /metrics to a monitoring system,
and nothing else; not readable by others. Without it only tokens of Keystone
do. Read when the service starts.
"""),
    cfg.BoolOpt('tenant_metrics', default=False, help="""
Whether /metrics also has the energy and CO2 of each project since 00:00 UTC,
under the names of SCS-0414. Whoever reads /metrics then reads what projects
use.
"""),
    cfg.StrOpt('server_models_file', help="""
CSV file with the models of the sites' servers, for the key figure ITEEsv:
columns site, model, count, smpe (maximum performance of one, in the unit of
its benchmark), smpo_w (its maximum power in watts), benchmark. The last
three are empty where a model was not rated. Read when the service starts.
"""),
]

audit_opts = [
    cfg.BoolOpt('enabled', default=False, help="""
Whether every request to the API, such as the download of a statement, is
told as CADF events: who asked what, and how it ended. By keystonemiddleware's
audit filter, which sends them as [audit_middleware_notifications] says: as
notifications, or to the log where use_oslo_messaging is false.
"""),
    cfg.StrOpt('map_file', help="""
What the calls are called in the events; the default is the map that comes
with the service (energy_accounting/api/api_audit_map.conf).
"""),
    cfg.ListOpt('ignore_methods', default=['HEAD', 'OPTIONS'], help="""
HTTP methods of requests that are not told. With GET among them, downloads
are not.
"""),
]

factors_opts = [
    cfg.ListOpt('providers', default=['energy-charts', 'static'], help="""
Where carbon intensities of grid zones are fetched, by plug-in name (entry
points energy_accounting.factors), the one to be believed first in front:
energy-charts, electricity-maps, csv, static. Each is asked for what those
before it did not know.
"""),
    cfg.ListOpt('zones', default=[], help="""
Grid zones to fetch, such as DE or DK-DK1; by default those that the sites
have as their grid_zone.
"""),
    cfg.IntOpt('max_age_days', default=60, min=1, max=3700, help="""
How far back holes are filled. What is older is left as it is.
"""),
    cfg.IntOpt('refresh_hours', default=48, min=0, max=2400, help="""
Hours in which a provider is asked again for what it has said already: it
corrects the newest figures.
"""),
    cfg.IntOpt('timeout_seconds', default=20, min=1, max=600, help="""
Seconds that one answer of a provider may take in all.
"""),
    cfg.IntOpt('tries', default=3, min=1, max=10, help="""
How often a provider is asked that does not answer, is overloaded or is
down (HTTP 408, 425, 429, 500, 502, 503, 504), with a growing pause.
"""),
    cfg.IntOpt('max_answer_mib', default=16, min=1, max=1024, help="""
MiB of the longest answer, unpacked, that is read.
"""),
    cfg.StrOpt('energy_charts_url', default='https://api.energy-charts.info',
               help="""
Where Energy-Charts is. Only https is asked, but on the loopback interface.
"""),
    cfg.StrOpt('energy_charts_basis', default='lifecycle',
               choices=['direct', 'lifecycle'], help="""
What its grams CO2e are recorded as: its answers do not say it.
"""),
    cfg.StrOpt('electricity_maps_url',
               default='https://api.electricitymaps.com', help="""
Where Electricity Maps is. Only https is asked, but on the loopback
interface.
"""),
    cfg.StrOpt('electricity_maps_token_file', help="""
A file that holds the token for Electricity Maps and nothing else, readable
by its owner only (mode 0600).
"""),
    cfg.StrOpt('electricity_maps_basis', default='lifecycle',
               choices=['direct', 'lifecycle'], help="""
Which of its figures are asked for; an answer with others is refused.
"""),
    cfg.StrOpt('csv_file', help="""
The file of the provider csv: factors of grid zones, with a header.
"""),
]

redfish_opts = [
    cfg.StrOpt('credentials_file', help="""
A file with the users and passwords of BMCs, readable by its owner only (mode
0600): a section for each address, ``[https://bmc-1.example.org]``, with
``user``, ``password`` and, to use a session, ``auth = session``. An address
has the user of the longest section that it begins with.
"""),
    cfg.StrOpt('ca_file', help="""
Certificates (PEM) of the authorities that BMCs' certificates are checked
against; by default those of the system. They are always checked.
"""),
    cfg.IntOpt('timeout_seconds', default=20, min=1, max=600, help="""
Seconds that everything which is asked for one meter may take.
"""),
    cfg.IntOpt('workers', default=16, min=1, max=256, help="""
How many BMCs are asked at a time.
"""),
    cfg.IntOpt('max_answer_kib', default=1024, min=1, max=65536, help="""
KiB of the longest answer that is read.
"""),
]

prometheus_opts = [
    cfg.StrOpt('url', help="""
Where Prometheus is, for meters whose readings are fetched there (source
prometheus), without /api. Plain http is asked without a token only, but on
the loopback interface.
"""),
    cfg.StrOpt('token_file', help="""
A file that holds the bearer token for it and nothing else, readable by its
owner only (mode 0600).
"""),
    cfg.StrOpt('ca_file', help="""
A file of the certificates (PEM) that sign its own; by default those that
the system trusts.
"""),
    cfg.IntOpt('step_seconds', default=300, min=15, max=3600, help="""
Seconds between two readings that are taken of a series.
"""),
    cfg.IntOpt('max_age_days', default=15, min=1, max=3700, help="""
How far back a meter without readings is filled; Prometheus itself keeps 15
days unless it is told otherwise.
"""),
    cfg.IntOpt('timeout_seconds', default=30, min=1, max=600, help="""
Seconds that one answer may take in all.
"""),
    cfg.IntOpt('tries', default=3, min=1, max=10, help="""
How often it is asked when it does not answer, is overloaded or is down,
with a growing pause.
"""),
]

exports_opts = [
    cfg.StrOpt('directory', help="""
Directory that exported files are put into: there before, and writable by the
user that sends them (energy-accounting-manage export).  The API serves what is
in it, and plans exports for it: there it is the same, and readable.  Unset:
the API plans no file, and an export must name one on the command line.
"""),
    cfg.StrOpt('provider_name', default='OpenStack', help="""
What the cloud is called on bills: FOCUS wants a provider and an issuer.
"""),
    cfg.StrOpt('register_file', help="""
TOML file with what no meter says of the sites, for the export "register": a
table for each site with its owner, area, nominal load and so on.  Read when an
export is made, by the API and by energy-accounting-manage.
"""),
    cfg.StrOpt('currency', default='EUR', help="""
Code of ISO 4217 in which FOCUS says 0.00 where nothing is charged.  What is
charged is in the currency of its tariff.
"""),
]

cloudkitty_opts = [
    cfg.BoolOpt('overwrites', default=True, help="""
Whether CloudKitty's storage puts a point in the place of the one that has the
same time and the same groupby values, as InfluxDB does. With false nothing is
ever sent in the place of what is there: where a statement was corrected, its
export says so and fails. Set it for OpenSearch and Elasticsearch, which would
count both.
"""),
]

_CREDENTIALS = {
    'cloudkitty': 'Credentials for CloudKitty (exports to it): of a user '
                  'who may add dataframes, an administrator unless its '
                  'policy says otherwise',
    'service_auth': 'Credentials for Keystone (names of projects, domains '
                    'and users); collector only',
    'nova': 'Credentials for Nova (owners of guests without metadata); '
            'collector only',
}

_ADAPTERS = ('cloudkitty', 'nova')
"""Of these, those that may be told where the service is."""

_GROUPS: dict[str | None, Sequence[cfg.Opt]] = {
    None: default_opts,
    'notifier': notifier_opts,
    'rapl': rapl_opts,
    'hwmon': hwmon_opts,
    'ipmi': ipmi_opts,
    'libvirt': libvirt_opts,
    'collector': collector_opts,
    'platform': platform_opts,
    'api': api_opts,
    'audit': audit_opts,
    'cloudkitty': cloudkitty_opts,
    'exports': exports_opts,
    'factors': factors_opts,
    'redfish': redfish_opts,
    'prometheus': prometheus_opts,
}


def _keystoneauth_opts(group: str) -> list[cfg.Opt]:
    """What keystoneauth reads in a group, for the sample file."""
    from keystoneauth1 import loading as ksa_loading
    return list(itertools.chain(
        ksa_loading.get_auth_common_conf_options(),
        ksa_loading.get_auth_plugin_conf_options('v3password'),
        ksa_loading.get_session_conf_options(),
        ksa_loading.get_adapter_conf_options()
        if group in _ADAPTERS else [],
        _GROUPS.get(group, [])))


def list_opts() -> list[tuple[str | None, Sequence[cfg.Opt]]]:
    """Every option by group, for oslo-config-generator."""
    return [*((name, options) for name, options in _GROUPS.items()
              if name not in _CREDENTIALS),
            *((name, _keystoneauth_opts(name)) for name in _CREDENTIALS)]


def register(conf: cfg.ConfigOpts, *, credentials: bool = True) -> None:
    """Make our options known to a configuration object.

    :param credentials: False where no cloud credential is ever used: on a
        hypervisor keystoneauth costs 10 MiB for nothing.
    """
    for name, options in _GROUPS.items():
        conf.register_opts(options, group=name)
    if not credentials:
        return
    from keystoneauth1 import loading as ksa_loading
    for name, title in _CREDENTIALS.items():
        # A group keeps what was set in it: each configuration has its own.
        conf.register_group(cfg.OptGroup(name, title=title))
        ksa_loading.register_auth_conf_options(conf, name)
        ksa_loading.register_session_conf_options(conf, name)
    for name in _ADAPTERS:
        ksa_loading.register_adapter_conf_options(conf, name)


def load(argv: Sequence[str], *, version: str,
         default_config_files: list[str] | None = None,
         credentials: bool = True) -> cfg.ConfigOpts:
    """The configuration of this process, registered, parsed and logged to.

    oslo.messaging registers options on oslo.config's global object alone,
    so that one is used; whoever needs it gets it as an argument.
    """
    conf = cfg.CONF
    register(conf, credentials=credentials)
    conf(list(argv), project=NAME, version=version,
         default_config_files=default_config_files)
    check(conf)
    return conf


def check(conf: cfg.ConfigOpts) -> None:
    """Read every option once: a wrong one must not wait for its moment.

    :raises errors.ConfigurationError: names the section and the option.
    """
    for name in conf:
        if not isinstance(conf[name], cfg.ConfigOpts.GroupAttr):
            continue
        for option in conf[name]:
            try:
                conf[name][option]
            except ValueError as error:
                raise errors.ConfigurationError(
                    f'[{name}] {option}: {_reason(error)}') from error
    if not conf.state_path:
        raise errors.ConfigurationError(
            '[DEFAULT] state_path is empty: name a directory that survives '
            'a restart')


def _reason(error: ValueError) -> str:
    """What oslo.config says of a value, without where it found it."""
    text = str(error).rpartition('is not valid: ')[2]
    # Numbers to choose from come as a dictionary that has only keys.
    return re.sub(r'OrderedDict\(\[(.*)\]\)', lambda found: ', '.join(
        re.findall(r'\((\w+), None\)', found[1])), text)


def host_name(conf: cfg.ConfigOpts) -> str:
    """The ``host`` option, or the machine's name outside a container.

    :raises errors.ConfigurationError: inside a container without it, or
        when no record could carry the name.
    """
    if conf.host:
        if (len(conf.host) > 255 or not conf.host.isprintable()
                or '/' in conf.host or conf.host in ('.', '..')):
            raise errors.ConfigurationError(
                '[DEFAULT] host must be a printable name of at most 255 '
                'characters without a slash, and not only dots')
        return conf.host
    if (os.path.exists('/.dockerenv') or os.path.exists('/run/.containerenv')
            or 'KUBERNETES_SERVICE_HOST' in os.environ):
        raise errors.ConfigurationError(
            '[DEFAULT] host is not set: inside a container set it to the '
            "name of the hypervisor as nova-compute's host option has it")
    return socket.gethostname()


def microwatts(text: str, option: str) -> int | None:
    """A power option in microwatts; None for ``auto``.

    :raises errors.ConfigurationError: for anything but auto or a number
        above 0 with at most six decimal places.
    """
    if text == 'auto':
        return None
    return _scaled(text, option, units.UJ_PER_J, 'auto, or watts above 0')


def allocation_ratio_millionths(text: str) -> int:
    """``cpu_allocation_ratio`` times a million.

    :raises errors.ConfigurationError: unless it is a decimal above 0.
    """
    return _scaled(text, '[notifier] cpu_allocation_ratio', 1_000_000,
                   'a number above 0')


def _scaled(text: str, option: str, scale: int, wanted: str) -> int:
    whole, _, fraction = text.strip().partition('.')
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit() and len(fraction) <= 6
            and len(digits) <= 18):
        raise errors.ConfigurationError(
            f'{option} is {text!r}: give {wanted} (at most six decimal '
            'places)')
    value = int(digits) * scale // 10 ** len(fraction)
    if value == 0:
        raise errors.ConfigurationError(
            f'{option} is {text!r}: give {wanted}')
    return value
