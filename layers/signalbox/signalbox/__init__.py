"""Signalbox: a serverless control plane for AWS estates."""
