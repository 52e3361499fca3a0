# SPDX-License-Identifier: Apache-2.0
"""What the API answers, as types: its JSON objects, field by field.

Figures are exact decimals in strings (``_kwh`` has fifteen places, ``_uj``
none), times are ISO 8601 in UTC with Z, and None is what was not measured
or is not known: neither is 0.  For type checkers only; a test holds each of
them against the schema that the service answers by.
"""

# Without postponed annotations: they would hide what is NotRequired.
from typing import Any, NotRequired, TypedDict


class Link(TypedDict):
    rel: str
    href: str


class Version(TypedDict):
    id: str
    status: str
    min_version: str
    max_version: str
    version: str
    links: list[Link]


class Health(TypedDict):
    healthy: bool
    reasons: list[str]


class Schema(TypedDict):
    """The database that the service works on."""

    kind: str
    revision: str | None


class HostCounts(TypedDict):
    enrolled: int
    pending: int
    retired: int


class LateHost(TypedDict):
    """A host that owes windows."""

    host: str
    site: str
    last_window_end: str | None
    lag_seconds: int | None


class HealthDetails(TypedDict):
    """What an administrator is told of the service."""

    database: Schema
    hosts: HostCounts
    complete_until: str | None
    lag_seconds: int | None
    quarantine_held: int
    late: list[LateHost]


# --- usage and balance ------------------------------------------------------

class Quality(TypedDict):
    """Shares of the energy, by how it came to be known."""

    measured: str
    backfilled: str
    estimated: str


class Usage(TypedDict):
    """Energy of a group in a period; only the keys it is grouped by."""

    start: str
    end: str
    project_id: NotRequired[str | None]
    domain_id: NotRequired[str | None]
    instance_id: NotRequired[str | None]
    flavor: NotRequired[str | None]
    site: NotRequired[str | None]
    region: NotRequired[str | None]
    host: NotRequired[str | None]
    account: NotRequired[str | None]
    user_id: NotRequired[str | None]
    active_kwh: str
    idle_kwh: str
    memory_kwh: str | None
    host_kwh: str
    platform_kwh: str | None
    it_kwh: str
    facility_kwh: str | None
    pue: str | None
    pue_kind: str | None
    co2_location_kg: str | None
    co2_market_kg: str | None
    cue_kg_per_kwh: str | None
    peak_kw: str | None
    coverage: str | None
    boundary: str
    quality: Quality
    policy: str | None
    water_l: str | None
    renewable_share: str | None
    factor_quality: str | None
    factor_basis: str | None
    market_factor_quality: str | None
    market_factor_basis: str | None


class Energy(TypedDict):
    energy_uj: str
    energy_kwh: str


class Gap(TypedDict):
    """A time in which a host, or one zone of it, was not measured."""

    host: str
    zone: str | None
    start: str
    end: str | None
    reason: str


class SiteBalance(TypedDict):
    """What a site took in, and who it was for."""

    site: str
    coverage: str
    facility_uj: str | None
    facility_kwh: str | None
    tenants_uj: str | None
    tenants_kwh: str | None
    operator_uj: str | None
    operator_kwh: str | None
    it_coverage: str
    it_metered_uj: str | None
    it_metered_kwh: str | None
    unmetered_it_uj: str | None
    unmetered_it_kwh: str | None
    co2_location_kg: str | None
    tenants_co2_location_kg: str | None
    operator_co2_location_kg: str | None
    co2_market_kg: str | None
    tenants_co2_market_kg: str | None
    operator_co2_market_kg: str | None


class Balance(TypedDict):
    """Who owns the measured energy; ``difference`` is 0."""

    start: str
    end: str
    host: str | None
    site: str | None
    complete_until: str | None
    measured_uj: str
    measured_kwh: str
    instance_uj: str
    instance_kwh: str
    service_uj: str
    service_kwh: str
    unallocated_uj: str
    unallocated_kwh: str
    quarantined_uj: str
    quarantined_kwh: str
    difference_uj: str
    difference_kwh: str
    disputed_uj: str
    disputed_kwh: str
    service_by_name: dict[str, Energy]
    unallocated_by_reason: dict[str, Energy]
    gaps: list[Gap]
    projects_uj: str | None
    projects_kwh: str | None
    sites: list[SiteBalance]
    node_uj: str | None
    node_kwh: str | None
    platform_uj: str | None
    platform_kwh: str | None
    undivided_node_uj: str | None
    undivided_node_kwh: str | None
    boundary: str | None


# --- hosts, and who changed what --------------------------------------------

class Downtime(TypedDict):
    id: int
    start: str
    end: str
    reason: str


class Host(TypedDict):
    name: str
    state: str
    site: str
    region: str | None
    boundary: str
    last_window_start: str | None
    last_window_end: str | None
    lag_seconds: int | None
    last_received: str | None
    coverage: str | None
    basis: list[str]
    idle_kind: str | None
    idle_power_w: str | None
    policy: str | None
    cpus: int | None
    memory_mib: int | None
    version: str | None
    alarm: str | None
    expected: bool
    late: bool
    enrolled_at: str | None
    retired_at: str | None
    public_key: str | None
    presented_keys: list[str]
    window_seconds: int | None
    max_power_w: str | None
    downtime: Downtime | None


class Change(TypedDict):
    """Who changed what; what it ``was`` and ``became`` depends on it."""

    at: str
    actor: str
    request_id: str | None
    kind: str
    subject: str
    was: dict[str, Any] | None
    became: dict[str, Any] | None


class KeptRecord(TypedDict):
    """A record that is kept and not booked."""

    id: int
    host: str
    stream: str
    sequence: int
    state: str
    code: str
    reason: str
    received_at: str
    start: str | None
    end: str | None
    energy_uj: str | None
    energy_kwh: str | None
    decided_at: str | None


class KeptRecordShown(KeptRecord):
    digest: str
    public_key: str | None
    signature: str
    signed_by_host: bool
    payload_as_came: bool
    payload: str


class Decided(TypedDict):
    quarantine: KeptRecordShown
    notes: list[str]


# --- sites, meters, readings ------------------------------------------------

class Site(TypedDict):
    name: str
    region: str | None
    time_zone: str
    grid_zone: str | None
    factor_basis: str | None


class MeterTerm(TypedDict):
    """Of a virtual meter: 1 is added, -1 taken away."""

    meter: str
    sign: int


class Meter(TypedDict):
    id: int
    name: str
    site: str
    medium: str
    role: str
    kind: str
    unit: str
    section: str | None
    host: str | None
    parent: str | None
    serial: str | None
    accuracy_class: str | None
    source: str | None
    source_ref: str | None
    rollover: str | None
    max_rate: str | None
    calibrated_until: str | None
    installed_at: str | None
    removed_at: str | None
    terms: list[MeterTerm]


class Reading(TypedDict):
    id: int
    at: str
    start: str | None
    value: str
    quality: str
    source: str
    received_at: str
    superseded_at: str | None


class Question(TypedDict):
    """What a counter did that is not counted until somebody decides."""

    start: str
    end: str
    kind: str
    was: str | None
    became: str


class MeterShown(Meter):
    last_reading: Reading | None
    questions: list[Question]


class Added(TypedDict):
    """How many readings of a batch were new."""

    added: int
    corrected: int
    duplicates: int


class Event(TypedDict):
    id: int
    at: str
    kind: str
    end_value: str | None
    start_value: str | None
    note: str | None
    recorded_at: str
    superseded_at: str | None


# --- factors and contracts --------------------------------------------------

class Factor(TypedDict):
    id: int
    kind: str
    zone: str | None
    site: str | None
    carrier: str
    basis: str | None
    method: str | None
    signal: str | None
    start: str
    end: str
    value: str
    unit: str
    quality: str
    provider: str
    source: str
    revision: str | None
    retrieved_at: str
    recorded_at: str
    superseded_at: str | None


class Recorded(TypedDict):
    """How many factors of a batch were new."""

    stored: int
    superseded: int
    unchanged: int


class Contract(TypedDict):
    id: int
    site: str
    instrument: str
    start: str
    end: str
    share: str
    kg_per_kwh: str
    basis: str
    renewable: bool
    retired: bool
    evidence: str
    recorded_at: str
    superseded_at: str | None


# --- key figures ------------------------------------------------------------

class KpiTerm(TypedDict):
    name: str
    value: str
    unit: str


class KpiMeter(TypedDict):
    name: str
    accuracy_class: str | None


class KpiMissing(TypedDict):
    input: str
    why: str


class Limit(TypedDict):
    """A limit of law; None in ``binds`` and ``kept``: nobody can tell."""

    most: str | None
    least: str | None
    legal_basis: str
    text: str
    valid_from: str
    valid_until: str | None
    started_from: str | None
    started_before: str | None
    years_to_meet: int
    binds: bool | None
    why: str | None
    kept: bool | None


class Kpi(TypedDict):
    figure: str
    name: str
    value: str | None
    unit: str
    category: int | None
    method: str | None
    section: str | None
    standard: str
    start: str
    end: str
    coverage: str | None
    estimated: str | None
    numerator: KpiTerm | None
    denominator: KpiTerm | None
    meters: list[KpiMeter] | None
    reading_seconds: int | None
    missing: list[KpiMissing]
    why: str | None
    notes: list[str]
    limits: list[Limit] | None


class Kpis(TypedDict):
    """The key figures of a site, and what was asked for them."""

    kpis: list[Kpi]
    site: str
    start: str
    end: str
    time_zone: str
    minimum_coverage: str
    as_of: str
    calculated_at: str
    calculated_by: str
    rounding: str


# --- statements and tariffs -------------------------------------------------

class _Amounts(TypedDict):
    """Energy, and what the building and the grid made of it."""

    active_kwh: str
    idle_kwh: str
    memory_kwh: str | None
    host_kwh: str
    platform_kwh: str | None
    it_kwh: str
    facility_kwh: str | None
    pue: str | None
    co2_location_kg: str | None
    co2_market_kg: str | None
    cue_kg_per_kwh: str | None
    water_l: str | None
    renewable_share: str | None
    pue_kind: str | None
    peak_kw: str | None
    coverage: str | None
    boundary: str | None
    quality: Quality
    policy: str | None
    factor_quality: str | None
    factor_basis: str | None
    market_factor_quality: str | None
    market_factor_basis: str | None


class Statement(_Amounts):
    """A closed month or year of a project, and its totals."""

    id: str
    revision: int
    state: str
    project_id: str | None
    project_name: str | None
    domain_id: str | None
    period: str
    timezone: str
    start: str
    end: str
    instances: int
    lines: int
    currency: str | None
    cost: str | None
    digest: str
    created_at: str
    as_of: str
    complete_until: str | None


class ClosedStatement(Statement):
    outcome: str


class StatementFactor(TypedDict):
    """What was used: a factor's source, a contract, where a PUE is from."""

    site: str
    kind: str
    method: NotRequired[str | None]
    carrier: NotRequired[str | None]
    basis: NotRequired[str | None]
    signal: NotRequired[str | None]
    unit: NotRequired[str | None]
    quality: NotRequired[str | None]
    provider: NotRequired[str | None]
    source: NotRequired[str | None]
    revision: NotRequired[str | None]
    zone: NotRequired[str | None]
    start: NotRequired[str | None]
    end: NotRequired[str | None]
    values: NotRequired[str | None]
    lowest: NotRequired[str | None]
    highest: NotRequired[str | None]
    digest: NotRequired[str | None]
    pue_kind: NotRequired[str | None]
    instrument: NotRequired[str | None]
    share: NotRequired[str | None]
    kg_per_kwh: NotRequired[str | None]
    renewable: NotRequired[str | None]
    retired: NotRequired[str | None]


class TariffWindow(TypedDict):
    days: list[str]
    start: str
    end: str
    price_per_kwh: str


class UsedTariff(TypedDict):
    name: str
    legal_basis: str
    start: str
    end: str
    currency: str
    quantity: str
    price_per_kwh: str
    co2_price_per_kg: str | None
    co2_method: str | None
    time_zone: str
    windows: list[TariffWindow]
    site: str | None
    project_id: str | None
    domain_id: str | None


class StatementRevision(TypedDict):
    revision: int
    state: str
    digest: str
    created_at: str
    it_kwh: str
    cost: str | None


class StatementShown(Statement):
    format: str
    factors: list[StatementFactor]
    tariffs: list[UsedTariff]
    notices: list[str]
    revisions: list[StatementRevision]


class StatementLine(_Amounts):
    """What an instance used on a day; money where something is charged."""

    day: str
    start: str
    end: str
    instance_id: str | None
    account: str
    flavor: str | None
    site: str
    region: str | None
    priced_kwh: NotRequired[str | None]
    priced_quantity: NotRequired[str | None]
    price_per_kwh: NotRequired[str | None]
    cost: NotRequired[str | None]


class LineEnd(TypedDict):
    it_kwh: str
    facility_kwh: str | None
    cost: str | None


class LineDifference(TypedDict):
    """How a line of one revision differs from that of another."""

    day: str
    instance_id: str | None
    account: str
    flavor: str | None
    site: str
    active_kwh: str | None
    idle_kwh: str | None
    memory_kwh: str | None
    host_kwh: str | None
    platform_kwh: str | None
    it_kwh: str | None
    facility_kwh: str | None
    co2_location_kg: str | None
    co2_market_kg: str | None
    water_l: str | None
    cost: str | None
    was: LineEnd | None
    became: LineEnd | None


class Tariff(TypedDict):
    """A price of energy; None in ``superseded_at``: it counts."""

    id: int
    name: str
    start: str
    end: str | None
    currency: str
    quantity: str
    price_per_kwh: str
    windows: list[TariffWindow]
    timezone: str
    co2_price_per_kg: str | None
    co2_method: str | None
    site: str | None
    project_id: str | None
    domain_id: str | None
    legal_basis: str
    recorded_at: str
    superseded_at: str | None


class Export(TypedDict):
    """What leaves, and how far it has come."""

    id: str
    target: str
    options: dict[str, str]
    period: str
    timezone: str
    project_id: str | None
    all_projects: bool
    state: str
    done: int
    total: int
    error: str | None
    created_at: str
    changed_at: str
    actor: str
    destination: str
    digest: str


class ExportFile(TypedDict):
    name: str
    bytes: int
    rows: int
    sha256: str


class ExportShown(Export):
    files: list[ExportFile]
    manifest: str | None
