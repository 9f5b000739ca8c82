"""What the cloud did, request by request: a receiver of OpenTelemetry spans and a store to ask."""
