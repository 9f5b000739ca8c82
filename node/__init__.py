"""The host agent: what makes one machine a host of the cloud."""

import os

# It starts programs all the time, and they never call gRPC: its care for forks would only fill the log.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
