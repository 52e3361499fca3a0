# SPDX-License-Identifier: Apache-2.0
"""The pages below ``admin/energy/``."""

from __future__ import annotations

from django.urls import path

from energy_accounting.dashboard.admin import views

urlpatterns = [
    path('', views.IndexView.as_view(), name='index'),
    path('projects/', views.ProjectsView.as_view(), name='projects'),
    path('hosts/', views.HostsView.as_view(), name='hosts'),
    path('sites/', views.SitesView.as_view(), name='sites'),
    path('quarantine/', views.QuarantineView.as_view(), name='quarantine'),
]
