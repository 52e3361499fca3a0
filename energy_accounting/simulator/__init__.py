# SPDX-License-Identifier: Apache-2.0
"""A truthful cloud: what is measured of it, and what really happened.

:mod:`.world` is the physics and its own truth, :mod:`.example` the cloud
that newcomers see, :mod:`.site` the data centre around it, which
:mod:`.operator` tells the service of; :mod:`.play` drives the notifier's
code through the cloud, :mod:`.verify` compares.  The truth is computed by
the world's own law at its own fine steps; nothing of the attribution may be
used for it.
"""
