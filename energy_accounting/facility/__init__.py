# SPDX-License-Identifier: Apache-2.0
"""What surrounds the hosts: sites, their meters and readings, factors.

``models`` are the tables.  ``kpi`` (sites), ``equipment`` (servers) and
``means`` (several sites) are the key figures, pure; ``limits`` is what law
asks of them.  Nothing here knows an instance or a tenant: what a site's
meters and factors make of a tenant's energy is ``report``'s.
"""
