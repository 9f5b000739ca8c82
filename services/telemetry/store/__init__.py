"""All SQL of telemetry: functions of a connection, run as units of work by the database."""
