"""Tests of what operators install: units, alerts, dashboards, images."""
