# SPDX-License-Identifier: Apache-2.0
"""What surrounds the hosts: sites, their meters and readings, factors.

``models`` are the tables.

A reading's way: ``sources`` fetch it (``addresses``), ``meters`` says what
it is a reading of, it comes in ``batches`` and is kept (``readings``) beside
``meter_events``, ``quantities`` makes an integer of it and ``amounts`` what
was used and when, ``meter_amounts`` by meter and site.  A factor's way:
``providers`` and ``factor_csv`` bring it (``fetching``), ``factors`` says
which contradict and which counts, ``factor_store`` keeps it; ``contracts``
and ``contract_store`` are the same of what a site bought.

What holds in each bucket of a site is ``supply``: ``supplies`` makes it of
the meters, of ``pue``, and of the ``intensities`` that ``carbon`` adds up.
What a node meter saw beyond RAPL is ``node_energy``, divided by
``apportioning``.

Key figures: ``kpi`` (sites), ``equipment`` (servers) and ``means`` (several
sites) are pure, of ``inputs``, in ``editions``, as ``figures``; ``limits``
is what law asks of them; ``site_inputs`` and ``site_figures`` gather and
show those of a site.

Nothing here knows an instance or a tenant: what a site's supply makes of a
tenant's energy is ``report``'s.
"""
