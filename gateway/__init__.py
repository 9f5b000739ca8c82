"""The gateway: one port for gRPC, gRPC-Web, REST and pages."""
