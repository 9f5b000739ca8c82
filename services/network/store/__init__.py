"""All SQL of the network service: functions of a connection, run as units of work by the database."""
