"""The edge: Envoy, its configuration and its life."""
